"""What a person reads in a report: what happened, and what happens next. Pure."""

from __future__ import annotations

from smtpd.dsn import Action

SUBJECTS = {
    Action.FAILED: "Undelivered",
    Action.DELAYED: "Delayed",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Passed on",
    Action.EXPANDED: "Passed on",
}
FAILED_ELSEWHERE = """\
Your message to {address} could not be delivered.
It is not tried again.
"""
BEGINNINGS = {
    Action.FAILED: """\
Your message to {address} could not be delivered to everybody
behind that address. It is not tried again.
""",
    Action.DELAYED: """\
Your message to {address} has not arrived yet. It is tried
again until {until}; you need not send it again.
""",
    Action.DELIVERED: """\
Your message to {address} has arrived there.
""",
    Action.RELAYED: """\
Your message to {address} was passed on to a server that sends
no reports. You will hear no more of it unless it comes back.
""",
    Action.EXPANDED: """\
Your message to {address} was passed on to everybody behind
that address. You will hear no more of it unless it comes back.
""",
}
DETAILS = """{moved}
    Subject: {subject}
{reason}    Number:  {key}

The postmaster of {domain} can say more if you give the number.
"""
# A stranger's word, passed on (RFC 5321 3.4).
MOVED = "Its server says that somebody there has moved to <{mailbox}>.\n"
REASON = "    Reason:  {reason}\n"
