"""An accepted post becomes one copy for each subscriber.

It is compiled once (`rewrite`, `subject`, `footer`: pure, on bytes), then its
recipients are frozen into the ledger in the same transaction. Nothing that
is not changed on purpose is re-serialised, so that the author's DKIM
signature still holds on the copy of a list without prefix and footer.
"""
