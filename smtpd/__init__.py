"""The mail server: addresses, intake, queue, outbound. Knows no app."""
