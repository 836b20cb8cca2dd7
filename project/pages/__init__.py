"""Pages that need more than one room: domains, traces, explain, conversions."""
