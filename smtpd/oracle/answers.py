"""What the database says to a front's questions. Called in a thread.

The same decision as RCPT's: `routing.resolve`. What it raises is our trouble
and never a refusal; the caller sees to that.
"""

from __future__ import annotations

import logging

from smtpd import paths, replies, routing
from smtpd.models import Domain
from smtpd.oracle import wire
from smtpd.oracle.wire import Access, Lookup
from smtpd.paths import BadPath
from smtpd.replies import Reply

log = logging.getLogger(__name__)


def look_up(question: Lookup, transport: str) -> bytes:
    """Answer from one of the tables: domain, recipient, transport.

    `transport` is what a recipient of ours gets from the last of them; there
    is no such table without it.
    """
    key = question.key
    if question.table == "domain":
        return wire.found(key) if _is_ours(key) else wire.not_found()
    values = {"recipient": key} | ({"transport": transport} if transport else {})
    if question.table not in values:
        return wire.no_table(question.table)
    reply = _decide(key)
    if reply.is_positive:
        return wire.found(values[question.table])
    return wire.not_found() if reply.code >= 500 else wire.not_now(reply)


def judge(question: Access) -> bytes:
    """Refuse a recipient of ours as RCPT would; others are not our matter."""
    recipient = question.recipient
    if not _is_ours(recipient.rpartition("@")[2]):
        return wire.go_on()
    reply = _decide(recipient)
    if reply.is_positive:
        return wire.go_on()
    log.info("refused to=<%s> by=lookup reply=%s", recipient, reply)
    return wire.refuse(reply)


def _decide(mailbox: str) -> Reply:
    try:
        path = paths.mailbox(mailbox)
    except BadPath as bad:
        return bad.reply
    answer = routing.resolve(path)
    return answer if isinstance(answer, Reply) else replies.RCPT_OK


def _is_ours(domain: str) -> bool:
    try:
        name = paths.mailbox(f"postmaster@{domain}").domain
    except BadPath:
        return False
    return Domain.objects.filter(name=name).exists()
