"""Mail's door to everywhere else: only for people who logged in.

No address resolves to it. The policy of submission makes the route, one for
all recipients outside: one message, one reverse-path, the sender's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.db.models import QuerySet

from smtpd import paths
from smtpd.access import Person
from smtpd.entries import Members
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Address, Domain, Event, Message
from smtpd.paths import BadPath
from smtpd.queue.actions import forward
from smtpd.replies import Reply
from smtpd.reports.actions import return_to_sender
from smtpd.routing import Route
from smtpd.verdict import ACCEPT, Verdict

DOOR = "relay"
# The target tells groups of recipients apart; see policy.
RELAY = "relay"


def signed(local_part: str, domain: Domain) -> Route | Reply | None:
    """Nothing here is its own."""
    return None


def route(address: Address, forward_path: str) -> Route | Reply | None:
    """Nothing here is its own."""
    return None


def sub_address(local_part: str, domain: Domain) -> Route | Reply | None:
    """Nothing here is its own."""
    return None


def addresses_of(mailbox: str) -> Iterable[str]:
    """Nobody has an address elsewhere by us."""
    return ()


def names(addresses: Sequence[Address]) -> Mapping[int, str]:
    """Nothing here is its own."""
    return {}


def called(words: str, domains: QuerySet[Domain]) -> QuerySet[Address]:
    """Nothing here is its own."""
    return Address.objects.none()


def expandable(user: Person) -> QuerySet[Address]:
    """Nothing here is its own."""
    return Address.objects.none()


def members(address: Address, limit: int) -> Members:
    """Nothing here is its own."""
    return Members((), 0)


def judge(route: Route, facts: Facts) -> Verdict:
    """Whoever gets a route here was looked at before."""
    return ACCEPT


def take(route: Route, message: Message, facts: Facts, verdict: Verdict) -> None:
    """Queue it for all recipients outside, signed in the name of its author."""
    count = forward(
        message,
        bytes(message.trace) + message.head,
        route.recipients,
        wish=route.wish,
        signed_by=signing_domain(facts),
    )
    noun = "recipient" if count == 1 else "recipients"
    add_event(message, "relayed", f"On its way to {count} {noun} elsewhere.")


def story(message: Message) -> Iterable[Event]:
    """Nothing that the events do not say."""
    return ()


def kept(message_ids: Sequence[int]) -> Iterable[int]:
    """None: the sender's program has a copy."""
    return ()


def failed(delivery_ids: Sequence[int]) -> None:
    """Tell the sender, who proved to be somebody."""
    return_to_sender(delivery_ids)


def signing_domain(facts: Facts) -> Domain | None:
    """The domain of ours whose key may speak for the author in From.

    Only for mail of an account: its author was checked.
    """
    for author in facts.authors:
        try:
            name = paths.mailbox(author).domain
        except BadPath:
            continue
        found = Domain.objects.filter(name=name).exclude(dkim_key="").first()
        if found is not None:
            return found
    return None
