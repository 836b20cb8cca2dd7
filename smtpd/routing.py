"""Which address means what: a URLconf for addresses.

The doors of the apps are named in order by project/mailroutes.py, so that
nothing here knows an app. The explain tool walks the same steps.

Order (docs/flow.md): signed addresses, exact, exact with tag, tag stripped,
sub-addresses, 550. An exact hit that takes no mail ends the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings
from django.db.models import FilteredRelation, Q, QuerySet

from smtpd import paths, replies
from smtpd.access import Person
from smtpd.dsn import NO_WISH, Wish
from smtpd.entries import Members
from smtpd.facts import Facts
from smtpd.models import Address, Domain, Event, Message
from smtpd.paths import Path
from smtpd.replies import Reply
from smtpd.statements import Prepared, columns, made_of
from smtpd.verdict import Verdict

TAG = "+"


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail to one forward-path goes."""

    # A key of doors().
    door: str
    # The door's own word: post, join, bounce, alias...
    kind: str
    # What the door routes to, by its own primary key.
    target: int
    forward_path: str
    # Only of an alias: its own address, without a tag and in its own letters...
    mailbox: str = ""
    # ...the mailboxes elsewhere that it leads to...
    recipients: tuple[str, ...] = ()
    # ...and the local addresses, each with a door of its own.
    onward: tuple[Route, ...] = ()
    # What RCPT is answered: 251 for an address that has moved and says so.
    reply: Reply = replies.RCPT_OK
    # What the sender wants to hear (RFC 3461); intake knows.
    wish: Wish = NO_WISH
    # The forward-path of the sender, when an alias led here from it.
    origin: str = ""

    @property
    def written_to(self) -> str:
        """What a report calls it: the address that the sender wrote to."""
        return self.origin or self.forward_path

    @property
    def leads_to_one(self) -> bool:
        """Whether all it stands for is one address."""
        return len(self.recipients) + len(self.onward) == 1

    @property
    def wish_behind(self) -> Wish:
        """What is asked of those behind it (RFC 3461 5.2.7.2 and 5.2.7.3)."""
        return self.wish if self.leads_to_one else self.wish.without_success()

    def behind(self) -> list[Route]:
        """The addresses here that it leads to, on the sender's behalf."""
        return [
            replace(route, wish=self.wish_behind, origin=self.written_to)
            for route in self.onward
        ]


class Door(Protocol):
    """What an app's inbound module offers. None means: not mine, ask the next."""

    def signed(self, local_part: str, domain: Domain) -> Route | Reply | None:
        """A token address of ours; a forged one is a Reply."""

    def route(self, address: Address, forward_path: str) -> Route | Reply | None:
        """An address row that takes mail."""

    def sub_address(self, local_part: str, domain: Domain) -> Route | Reply | None:
        """An address without a row that belongs to one: `talk-owner`."""

    def addresses_of(self, mailbox: str) -> Iterable[str]:
        """The open addresses here that lead to a folded mailbox, and so are its own."""

    def judge(self, route: Route, facts: Facts) -> Verdict:
        """The verdict on a message; no side effects, may run twice."""

    def take(
        self, route: Route, message: Message, facts: Facts, verdict: Verdict
    ) -> None:
        """Make of the stored message what it is; inside intake's transaction."""

    def names(self, addresses: Sequence[Address]) -> Mapping[int, str]:
        """What people call those that are mine, by primary key."""

    def called(self, words: str, domains: QuerySet[Domain]) -> QuerySet[Address]:
        """Those of mine in these domains that have these words in their name."""

    def expandable(self, user: Person) -> QuerySet[Address]:
        """Those of mine whose members somebody may see."""

    def members(self, address: Address, limit: int) -> Members:
        """Who is behind one of mine; at most so many named. Asks nobody's rights."""

    def story(self, message: Message) -> Iterable[Event]:
        """Steps in the trace of a message that my own rows tell."""

    def kept(self, message_ids: Sequence[int]) -> Iterable[int]:
        """Those of these messages that my rows need, however old they are."""

    def failed(self, delivery_ids: Sequence[int]) -> None:
        """These deliveries failed for good. Telling twice changes nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search, for the explain tool."""

    text: str
    found: bool = False


def doors() -> dict[str, Door]:
    """The doors for mail, in the order they are asked."""
    return cast("dict[str, Door]", import_module(settings.MAIL_ROUTES).doors)


def resolve(path: Path) -> Route | Reply:
    """Decide one forward-path from the database (RFC 5321 3.3, RCPT)."""
    return _Search(path).run()


def address_of(local_part: str, domain: Domain) -> Address | None:
    """The row a local part belongs to: its own, else that before each tag."""
    names = _names(local_part.lower())
    _, rows = _look_up(domain.name, names)
    return next((rows[name] for name in names if name in rows), None)


def explain(mailbox: str) -> tuple[Route | Reply, list[Step]]:
    """Say where mail to a mailbox would go, and by which steps.

    Raise paths.BadPath when it is no mailbox at all.
    """
    search = _Search(paths.mailbox(mailbox))
    return search.run(), search.steps


class _Search:
    """One walk through the order above, noting each step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.local_part = path.local_part.lower()
        self.steps: list[Step] = []

    def run(self) -> Route | Reply:
        names = _names(self.local_part)
        domain, rows = _look_up(self.path.domain or _first_domain(), names)
        if domain is None:
            self._note(f"{self.path.domain} is not a domain of this site.")
            return replies.RELAY_DENIED
        self._note(f"{domain.name} is a domain of this site.")
        found = (
            self._signed(domain)
            or self._exact(domain, names, rows)
            or self._sub_address(domain)
        )
        if found is None:
            self._note("No address matches.")
        return found or replies.NO_SUCH_USER

    def _signed(self, domain: Domain) -> Route | Reply | None:
        if TAG not in self.local_part:
            return None
        for door in doors().values():
            found = door.signed(self.local_part, domain)
            if found is not None:
                self._note("It is a signed address of ours.", found=True)
                return found
        return None

    def _exact(
        self, domain: Domain, names: Sequence[str], rows: Mapping[str, Address]
    ) -> Route | Reply | None:
        """The row of the whole local part, else of the one before each tag."""
        for name in names:
            if name in rows:
                return self._row(rows[name])
            self._note(f"There is no address {name}@{domain.name}.")
        return None

    def _row(self, row: Address) -> Route | Reply:
        if not self._is_open(row):
            return self._closed(row)
        for door in doors().values():
            found = door.route(row, str(self.path))
            if found is not None:
                self._note(_what_it_is(row), found=True)
                return found
        return replies.NO_SUCH_USER

    def _closed(self, row: Address) -> Reply:
        if row.is_enabled and row.domain.is_active:
            self._note(f"{row} has expired: it takes no mail.", found=True)
            return replies.EXPIRED
        self._note(f"{row} is switched off: it takes no mail.", found=True)
        return replies.DISABLED

    def _is_open(self, row: Address) -> bool:
        """RFC 5321 4.5.1: the postmaster is never switched off."""
        if row.local_part == "postmaster":
            return True
        return row.is_open and row.domain.is_active

    def _sub_address(self, domain: Domain) -> Route | Reply | None:
        for door in doors().values():
            found = door.sub_address(self.local_part, domain)
            if found is not None:
                self._note("It belongs to an address of ours.", found=True)
                return found
        return None

    def _note(self, text: str, *, found: bool = False) -> None:
        self.steps.append(Step(text, found))


def _names(local_part: str) -> list[str]:
    names = [local_part]
    while TAG in names[-1]:
        names.append(names[-1].rpartition(TAG)[0])
    return names


# What decides whether an address takes mail; a time takes as long to read as
# the rest of a row.
OF_DOMAIN = ("id", "name", "is_active", "correction")
OF_ADDRESS = tuple(name for name in columns(Address) if name != "created_at")
# A domain, and those of its addresses that have one of these names: once for
# each of them, or once with nothing behind it.
_FOUND = Prepared(
    lambda domain, names: (
        Domain.objects.filter(name=domain)
        .annotate(
            named=FilteredRelation(
                "addresses", condition=Q(addresses__local_part__in=names)
            )
        )
        .order_by()
        .values_list(*OF_DOMAIN, *(f"named__{name}" for name in OF_ADDRESS))
    ),
    str,
    set,
)


def _look_up(
    name: str, local_parts: Sequence[str]
) -> tuple[Domain | None, dict[str, Address]]:
    """A domain of ours and the rows of these local parts in it: one statement."""
    domain: Domain | None = None
    rows: dict[str, Address] = {}
    width = len(OF_DOMAIN)
    for values in _FOUND.rows(name, [part for part in local_parts if part]):
        if domain is None:
            domain = made_of(Domain, OF_DOMAIN, values[:width])
        if values[width] is not None:
            row = made_of(Address, OF_ADDRESS, values[width:])
            row.domain = domain
            rows[row.local_part] = row
    return domain, rows


def _first_domain() -> str:
    """A bare <postmaster> is the postmaster of our first domain (4.5.1)."""
    first = Domain.objects.order_by("id").values_list("name", flat=True).first()
    return first or ""


def _what_it_is(row: Address) -> str:
    if row.kind == Address.Kind.MOVED:
        return f"{row} has moved to {row.moved_to}: {row.decision}"
    return f"{row} is {'a list' if row.kind == Address.Kind.LIST else 'an alias'}."
