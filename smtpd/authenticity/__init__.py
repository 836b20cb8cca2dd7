"""Whether a message comes from where it says.

So far SPF alone, asked before a stranger is sent a report.
"""
