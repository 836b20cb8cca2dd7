"""What we tell the senders of mail: it failed, is late, arrived (RFC 3461, 3464).

restraint says when better nothing is sent, compose writes a report, words are
what a person reads in it: all pure. actions send reports, sweep finds those
that a dead worker owes.
"""
