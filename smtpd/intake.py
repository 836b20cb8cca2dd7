"""Judge, store, commit, promise: what happens at the end of DATA.

One transaction holds the message, what each door makes of it, and the first
lines of its trace. The 250 is given only after the commit; whatever goes
wrong before is an exception, and the listener's 451.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

from django.db import transaction

from smtpd import facts as facts_of
from smtpd import replies, routing
from smtpd.dsn import NO_WISH
from smtpd.envelope import Envelope
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.fields import TooMany
from smtpd.models import Message
from smtpd.models.message import make_key
from smtpd.received import received
from smtpd.replies import Reply
from smtpd.reports import actions as reports
from smtpd.routing import Route
from smtpd.statements import insert
from smtpd.verdict import Outcome, Verdict

log = logging.getLogger(__name__)

# RFC 5321 6.3: at least 100.
MAX_HOPS = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """A route and what its door said of the message."""

    route: Route
    verdict: Verdict

    @property
    def is_taken(self) -> bool:
        return self.verdict.outcome in (Outcome.ACCEPT, Outcome.HOLD)


def accept(envelope: Envelope, raw: bytes) -> Reply:
    """Judge a message for every recipient and store it; return the reply.

    The message is on stable storage when the reply is positive and the
    outermost transaction is committed. Refused by all: nothing is stored.
    Called twice, it stores twice: the duplicate guard is each door's own
    (RFC 1047).
    """
    answers, key = _accept(envelope, raw)
    taken = [reply for reply in answers if reply.is_positive]
    # Waiting for a moderator is said only when it is true of everybody.
    if replies.QUEUED in taken:
        return replies.QUEUED.fill(key=key)
    return taken[0].fill(key=key) if taken else answers[0]


def accept_each(envelope: Envelope, raw: bytes) -> list[Reply]:
    """Do the same, and return the reply for each recipient (RFC 2033 4.2)."""
    answers, key = _accept(envelope, raw)
    return [reply.fill(key=key) if reply.is_positive else reply for reply in answers]


def _accept(envelope: Envelope, raw: bytes) -> tuple[list[Reply], str]:
    """Each recipient's reply as its constant, and the key for its {braces}."""
    count = len(envelope.routes)
    try:
        facts = facts_of.read(raw, reverse_path=envelope.reverse_path)
    except TooMany:
        return [replies.TOO_MANY_FIELDS] * count, ""
    if len(facts.all("received")) >= MAX_HOPS:
        log.warning("hops=%d from=%s refused", MAX_HOPS, envelope.peer)
        return [replies.TOO_MANY_HOPS] * count, ""
    judged = list(_judge(_with_wishes(envelope), facts))
    verdicts = {_name(row.route): row.verdict for row in judged}
    answers = [_answer(route, verdicts) for route in envelope.routes]
    if not any(reply.is_positive for reply in answers):
        _log_refusal(envelope, facts, answers[0])
        return answers, ""
    return answers, _store(envelope, raw, facts, judged).key


def _with_wishes(envelope: Envelope) -> list[Route]:
    wishes = chain(envelope.wishes, repeat(NO_WISH))
    return [
        replace(route, wish=wish)
        for route, wish in zip(envelope.routes, wishes, strict=False)
    ]


def _name(route: Route) -> tuple[str, str, int]:
    """What makes two routes the same."""
    return route.door, route.kind, route.target


def _answer(route: Route, verdicts: Mapping[tuple[str, str, int], Verdict]) -> Reply:
    """What one recipient hears.

    An alias that only leads to other addresses here has no say of its own.
    """
    verdict = verdicts[_name(route)]
    if verdict.outcome is Outcome.ACCEPT and route.onward and not route.recipients:
        answers = [_answer(onward, verdicts) for onward in route.onward]
        return next((reply for reply in answers if reply.is_positive), answers[0])
    if verdict.reply is not None and verdict.outcome is Outcome.REFUSE:
        return verdict.reply
    held = verdict.outcome is Outcome.HOLD
    return replies.QUEUED_HELD if held else replies.QUEUED


def _judge(routes: Sequence[Route], facts: Facts) -> Iterator[Judged]:
    """Ask each door once, and those behind an alias that accepts.

    A recipient reached twice, by its own address and by an alias, is taken
    once.
    """
    doors = routing.doors()
    asked: set[tuple[str, str, int]] = set()
    reached: set[str] = set()
    waiting = list(routes)
    while waiting:
        route = waiting.pop(0)
        name = _name(route)
        if name in asked:
            continue
        asked.add(name)
        verdict = doors[route.door].judge(route, facts)
        fresh = tuple(r for r in route.recipients if r.lower() not in reached)
        if verdict.outcome is Outcome.ACCEPT:
            reached.update(recipient.lower() for recipient in fresh)
            waiting.extend(route.behind())
        yield Judged(replace(route, recipients=fresh), verdict)


def _log_refusal(envelope: Envelope, facts: Facts, reply: Reply) -> None:
    log.info(
        "refused from=<%s> to=%s peer=%s msg-id=%s reply=%d %s",
        envelope.reverse_path,
        ",".join(envelope.forward_paths),
        envelope.peer,
        facts.msg_id,
        reply.code,
        reply.enhanced,
    )


@transaction.atomic(savepoint=False)
def _store(
    envelope: Envelope, raw: bytes, facts: Facts, judged: Sequence[Judged]
) -> Message:
    message = _message(envelope, raw, facts)
    insert(message)
    for row in judged:
        _take(row, message, facts)
    transaction.on_commit(
        lambda: log.info(
            "%s stored from=<%s> to=%s size=%d peer=%s msg-id=%s",
            message.key,
            message.reverse_path,
            ",".join(envelope.forward_paths),
            message.size,
            envelope.peer,
            facts.msg_id,
        )
    )
    return message


def _take(row: Judged, message: Message, facts: Facts) -> None:
    """Let the door have it, or note why it does not get it."""
    if row.is_taken:
        door = routing.doors()[row.route.door]
        door.take(row.route, message, facts, row.verdict)
        return
    kind = "refused" if row.verdict.outcome is Outcome.REFUSE else "discarded"
    why = " ".join(row.verdict.reasons) or "no reason given"
    add_event(message, kind, f"{row.route.forward_path}: {why}")
    if row.verdict.reply is not None:
        reports.refused(message, row.route, row.verdict.reply)


def _message(envelope: Envelope, raw: bytes, facts: Facts) -> Message:
    message = Message(
        key=make_key(),
        source=envelope.source,
        submitter_id=envelope.submitter,
        reverse_path=envelope.reverse_path,
        forward_paths=envelope.forward_paths,
        msg_id=facts.msg_id,
        subject=facts.subject,
        author=facts.authors[0][:320] if facts.authors else "",
        peer=envelope.peer or None,
        helo=envelope.helo[:255],
        protocol=envelope.protocol,
        needs_8bit=envelope.needs_8bit,
        needs_utf8=envelope.needs_utf8,
        ret=envelope.ret,
        envid=envelope.envid,
        size=facts.size,
        sha256=hashlib.sha256(raw).hexdigest(),
        body_at=facts.body_at,
        raw=raw,
    )
    message.trace = received(envelope, message.key)
    return message
