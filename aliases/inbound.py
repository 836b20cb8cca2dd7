"""Mail's door to the aliases: whom an address stands for, and sending it there.

An alias is expanded once, at RCPT; what it stood for then is what the ledger
gets (RFC 5321 3.9.1: the envelope's recipient changes, nothing else).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from aliases import lookup
from aliases.book import Book
from aliases.expansion import Unbounded, expand, fold
from aliases.origins import leading_to
from aliases.targets import POSTMASTER, admins_of, role_of
from smtpd import correction, paths, replies
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Address, Domain, Event, Message
from smtpd.paths import Path
from smtpd.queue.actions import forward
from smtpd.replies import Reply
from smtpd.reports import actions as reports
from smtpd.routing import Route, resolve
from smtpd.submission.relay import signing_domain
from smtpd.verdict import ACCEPT, Outcome, Verdict

log = logging.getLogger(__name__)

DOOR = "aliases"
# target is the alias; or, for a role without a row, its domain.
ALIAS = "alias"

# What VRFY and EXPN ask.
names = lookup.names
called = lookup.called
expandable = lookup.expandable
members = lookup.members


def signed(local_part: str, domain: Domain) -> Route | Reply | None:
    """Aliases have no token addresses."""
    return None


def route(address: Address, forward_path: str) -> Route | Reply | None:
    """Expand an alias now, or say why it leads nowhere.

    An address that has moved is an alias of the new one, if it forwards.
    """
    if address.kind not in (Address.Kind.ALIAS, Address.Kind.MOVED):
        return None
    start = Path(address.local_part, address.domain.name)
    book = Book(only_open=True)
    alias = book.alias_at(start)
    if alias is None:
        return None
    found = Route(DOOR, ALIAS, alias, forward_path, mailbox=str(start))
    if address.kind == Address.Kind.MOVED:
        reply = correction.reply(address.decision.correction, address.moved_to)
        if not reply.is_positive:
            return reply
        found = replace(found, reply=reply)
    return _route(found, start, address.domain, book)


def sub_address(local_part: str, domain: Domain) -> Route | Reply | None:
    """Postmaster and abuse of a domain that has no rows for them."""
    role = role_of(local_part)
    if not role:
        return None
    start = Path(role, domain.name)
    found = Route(DOOR, role, domain.pk, str(start))
    return _route(found, start, domain, Book(only_open=True))


def addresses_of(mailbox: str) -> Iterable[str]:
    """The aliases that lead to somebody: who gets the mail may answer it."""
    return leading_to(mailbox)


def judge(route: Route, facts: Facts) -> Verdict:
    """Refuse what has been here before; nothing else is an alias's business."""
    folded = fold(_delivered_to(route))
    if any(fold(_text(value)) == folded for value in facts.all("delivered-to")):
        why = f"It has been to {folded} before."
        return Verdict(Outcome.REFUSE, (why,), replies.LOOP)
    return ACCEPT


def take(route: Route, message: Message, facts: Facts, verdict: Verdict) -> None:
    """Queue the message for the addresses elsewhere, one delivery each.

    Byte for byte as it came, our Received and Delivered-To fields before it,
    so that the author's signature holds; the reverse-path stays the sender's.
    """
    name = _delivered_to(route)
    if not route.recipients:
        if not route.onward:
            add_event(message, "kept", f"{name}: nobody is behind it.")
            reports.delivered(message, route)
        elif not route.leads_to_one:
            reports.expanded(message, route)
        return
    count = forward(
        message,
        _head(message, name),
        route.recipients,
        wish=route.wish_behind,
        written_to=route.written_to,
        # A server's mail has the signature of its author; our own people's not yet.
        signed_by=signing_domain(facts) if message.submitter_id else None,
    )
    noun = "target" if count == 1 else "targets"
    add_event(message, "expanded", f"{name}: expanded to {count} {noun}.")
    if not route.leads_to_one:
        reports.expanded(message, route)


def story(message: Message) -> Iterable[Event]:
    """Nothing that the events do not say."""
    return ()


def kept(message_ids: Sequence[int]) -> Iterable[int]:
    """None: what an alias passed on is over when it has arrived."""
    return ()


def failed(delivery_ids: Sequence[int]) -> None:
    """Tell the senders. An alias keeps no score: the ledger says who failed."""
    reports.return_to_sender(delivery_ids)


def _route(found: Route, start: Path, domain: Domain, book: Book) -> Route | Reply:
    try:
        leaves = expand(str(start), book.targets_of)
    except Unbounded as problem:
        log.warning("alias=%s unbounded=%s", start, problem)
        if start.local_part != POSTMASTER:
            return replies.ALIAS_TOO_WIDE
        # RFC 5321 4.5.1: the postmaster is reached whatever is wrong. An admin
        # whose own address is here may be part of what is wrong.
        admins = admins_of(domain)
        leaves = tuple(set(admins) - book.hosted(admins))
    hosted = book.hosted(leaves)
    onward = _onward(start, [leaf for leaf in leaves if leaf in hosted])
    elsewhere = tuple(leaf for leaf in leaves if leaf not in hosted)
    if not elsewhere and not onward and start.local_part != POSTMASTER:
        return replies.LEADS_NOWHERE
    return replace(found, recipients=elsewhere, onward=onward)


def _onward(start: Path, leaves: Sequence[str]) -> tuple[Route, ...]:
    """Doors of our own that the alias leads to; what takes no mail is left out."""
    routes = []
    for leaf in leaves:
        found = resolve(paths.mailbox(leaf))
        if isinstance(found, Reply):
            log.info(
                "alias=%s left-out=%s reply=%d %s",
                start,
                leaf,
                found.code,
                found.enhanced,
            )
        else:
            routes.append(found)
    return tuple(routes)


def _delivered_to(route: Route) -> str:
    """The address that goes into Delivered-To, as it was called at RCPT."""
    return route.mailbox or route.forward_path


def _head(message: Message, name: str) -> bytes:
    """Our trace fields, then the header section as it came."""
    raw = bytes(message.raw)[: message.body_at]
    if raw == b"\r\n" or raw.endswith(b"\r\n\r\n"):
        raw = raw[:-2]
    return bytes(message.trace) + f"Delivered-To: {name}\r\n".encode() + raw


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip(" <>")
