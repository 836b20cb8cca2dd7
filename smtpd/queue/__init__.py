"""From a message and its recipients to what became of each copy.

The ledger (smtpd.models.Delivery) is the truth; a task or a nudge only says
"look". Every row is claimed with a lease before a byte is sent and ends in
one visible state, whichever process dies on the way.
"""
