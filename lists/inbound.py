"""Mail's door to the lists: which addresses are theirs, and who takes the mail.

A list at `talk@` owns `talk-request@` and its kin. Its own kinds of route lead
to the list's Address; those of the signed addresses to what the token names:
a delivery (bounce), a request (confirm), a subscription (unsubscribe).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from lists import lookup
from lists.access import owner_addresses_of
from lists.bounces.actions import record_failures, take_report
from lists.delivery import actions as delivery
from lists.models import MailingList
from lists.posting import actions as posting
from lists.subscriptions import actions as subscriptions
from lists.subscriptions import asking, commands
from smtpd import fields, replies, tokens
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Address, Domain, Message
from smtpd.replies import Reply
from smtpd.reports import actions as reports
from smtpd.routing import Route
from smtpd.statements import Prepared
from smtpd.tokens import Purpose
from smtpd.verdict import ACCEPT, Outcome, Verdict

log = logging.getLogger(__name__)

DOOR = "lists"
POST, OWNER = "post", "owner"
BOUNCE, CONFIRM, UNSUBSCRIBE = "bounce", "confirm", "unsubscribe"

# The name before the tag of a signed address: what the token names, and the
# kind of the route.
SIGNED = {
    "bounces": (Purpose.BOUNCE, BOUNCE),
    "confirm": (Purpose.CONFIRM, CONFIRM),
    "leave": (Purpose.UNSUBSCRIBE, UNSUBSCRIBE),
}
# The suffix of a list's sub-address, and the kind of the route.
SUFFIXES = {
    "owner": OWNER,
    "request": "request",
    "join": "join",
    "subscribe": "join",
    "leave": "leave",
    "unsubscribe": "leave",
}

# What VRFY and EXPN ask.
names = lookup.names
called = lookup.called
expandable = lookup.expandable
members = lookup.members
# What the trace asks.
story = posting.story
kept = posting.kept


def signed(local_part: str, domain: Domain) -> Route | Reply | None:
    """`bounces+T`, `confirm+T`, `leave+T`; a forged token is refused."""
    name, _, token = local_part.partition("+")
    if name.lower() not in SIGNED:
        return None
    purpose, kind = SIGNED[name.lower()]
    number = tokens.read(purpose, token)
    if number is None:
        return replies.BAD_TOKEN
    return Route(DOOR, kind, number, f"{local_part}@{domain.name}")


def route(address: Address, forward_path: str) -> Route | Reply | None:
    """The posting address of a list. No query of its own."""
    if address.kind != Address.Kind.LIST:
        return None
    return Route(DOOR, POST, address.pk, forward_path)


def sub_address(local_part: str, domain: Domain) -> Route | Reply | None:
    """`talk-owner` of the list `talk`; a tag behind it is ignored."""
    name, _, suffix = local_part.lower().partition("+")[0].rpartition("-")
    if not name or suffix not in SUFFIXES:
        return None
    address = Address.objects.filter(
        domain=domain, local_part=name, kind=Address.Kind.LIST
    ).first()
    if address is None:
        return None
    if not (address.is_open and domain.is_active):
        return replies.DISABLED
    return Route(DOOR, SUFFIXES[suffix], address.pk, f"{local_part}@{domain.name}")


def addresses_of(mailbox: str) -> Iterable[str]:
    """The owner addresses of the lists somebody owns."""
    return owner_addresses_of(mailbox)


def judge(route: Route, facts: Facts) -> Verdict:
    """Ask the flow the mail belongs to."""
    if route.kind == POST:
        return posting.judge(route.target, facts)
    if route.kind == OWNER:
        return _judge_for_owners(_mlist(route), facts)
    if route.kind not in (BOUNCE, UNSUBSCRIBE) and commands.is_automatic(facts):
        return Verdict(Outcome.DISCARD, ("A program wrote it; none is answered.",))
    return ACCEPT


def _judge_for_owners(mlist: MailingList, facts: Facts) -> Verdict:
    """Refuse what has been here, and what nobody would read."""
    here = mlist.sub_address("owner").lower()
    if any(fields.text(v).lower() == here for v in facts.all(delivery.DELIVERED_TO)):
        why = f"It has been to {here} before."
        return Verdict(Outcome.REFUSE, (why,), replies.LOOP)
    if not delivery.owners_of(mlist):
        why = "The list has no owner."
        return Verdict(Outcome.REFUSE, (why,), replies.LEADS_NOWHERE)
    return ACCEPT


def take(route: Route, message: Message, facts: Facts, verdict: Verdict) -> None:
    """Hand the mail to the flow it belongs to, inside intake's transaction."""
    if route.kind == OWNER:
        delivery.forward_to_owners(_mlist(route), message, route)
        return
    reports.delivered(message, route)
    if route.kind == POST:
        found = verdict.about
        mlist = found if isinstance(found, MailingList) else _mlist(route)
        posting.take(mlist, message, facts, verdict)
    elif route.kind in (BOUNCE, CONFIRM, UNSUBSCRIBE):
        _take_signed(route, message, facts)
    else:
        mlist = _mlist(route)
        add_event(message, "accepted", f"Command for {mlist.name}: {route.kind}.")
        asking.take_command(mlist, route.kind, message, facts)


def _take_signed(route: Route, message: Message, facts: Facts) -> None:
    if route.kind == BOUNCE:
        take_report(route.target, message, facts)
    elif route.kind == CONFIRM:
        done = asking.take_confirmation(route.target, facts)
        said = "Confirmed." if done else "The question it answers has expired."
        add_event(message, "accepted", said)
    else:
        subscriptions.unsubscribe_number(route.target)
        add_event(message, "accepted", "Unsubscribed by a signed address.")


def failed(delivery_ids: Sequence[int]) -> None:
    """These copies failed for good: what it means for the subscriptions."""
    record_failures(delivery_ids)


_LIST = Prepared(
    lambda address: MailingList.objects.filter(address_id=address).order_by(),
    int,
    related=("address", "address__domain"),
)


def _mlist(route: Route) -> MailingList:
    """The list of a route to an address; gone since RCPT is our trouble: 451."""
    mlist = _LIST.first(route.target)
    if mlist is None:
        raise MailingList.DoesNotExist
    return mlist
