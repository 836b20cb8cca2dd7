"""What is kept how long: KEEP_DAYS, then rows become a count and bytes go.

    actions   prune: the ledger, then messages, then caught copies
    tasks     the clock's door

Only what has come to an end is touched, a few thousand rows a transaction.
"""
