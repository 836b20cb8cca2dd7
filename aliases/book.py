"""Whom addresses stand for, as the database has it: one statement a level.

An alias is known the way routing knows it: by its exact address, else by what
stands before the tag, else as the postmaster or abuse desk that every domain
has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db.models import FilteredRelation, Q

from aliases.targets import POSTMASTER, ROLES, admins_of
from smtpd import paths
from smtpd.models import Address, Domain
from smtpd.paths import BadPath, Path
from smtpd.routing import OF_ADDRESS, OF_DOMAIN, TAG
from smtpd.statements import Prepared, made_of

_Name = tuple[str, str]


@dataclass(slots=True)
class _Entry:
    """An address of ours, and its alias if it has one."""

    row: Address
    alias: int | None
    targets: list[str] = field(default_factory=list)

    @property
    def takes_mail(self) -> bool:
        """As routing decides it: the postmaster is never switched off."""
        row = self.row
        if row.local_part == POSTMASTER:
            return True
        is_moved = row.kind == Address.Kind.MOVED
        is_refused = is_moved and not row.decision.correction.forwards
        return row.is_open and row.domain.is_active and not is_refused

    @property
    def stands_for(self) -> list[str] | None:
        """Its targets; the domain's admins if it has none; None for no alias.

        Who has moved is at one new address, whatever the targets were before.
        """
        if self.row.kind == Address.Kind.MOVED:
            return [self.row.moved_to]
        if self.row.kind != Address.Kind.ALIAS or self.alias is None:
            return None
        return self.targets or admins_of(self.row.domain)


class Book:
    """The addresses of one expansion; each is looked up once and kept.

    `instead` has aliases as they are about to be. With only_open, what takes
    no mail now stands for nobody.
    """

    def __init__(
        self, instead: Mapping[str, Sequence[str]] | None = None, *, only_open: bool
    ) -> None:
        changed = (instead or {}).items()
        self._changed = {_names(mailbox)[0]: targets for mailbox, targets in changed}
        self._only_open = only_open
        # By name; None is not ours.
        self._domains: dict[str, Domain | None] = {}
        self._entries: dict[_Name, _Entry] = {}
        self._seen: set[_Name] = set()

    def alias_at(self, path: Path) -> int | None:
        """The primary key of the alias with exactly this address."""
        name = (path.local_part.lower(), path.domain)
        self._look_up([name])
        entry = self._entries.get(name)
        return entry.alias if entry else None

    def targets_of(self, level: Iterable[str]) -> dict[str, Sequence[str]]:
        """The targets of those of these addresses that are aliases."""
        names = {mailbox: _names(mailbox) for mailbox in level}
        self._look_up([name for candidates in names.values() for name in candidates])
        found: dict[str, Sequence[str]] = {}
        for mailbox, candidates in names.items():
            targets = self._targets(candidates)
            if targets is not None:
                found[mailbox] = targets
        return found

    def hosted(self, mailboxes: Iterable[str]) -> frozenset[str]:
        """Those of these addresses whose domain is ours."""
        hosts = {mailbox: mailbox.rpartition("@")[2] for mailbox in mailboxes}
        if unknown := set(hosts.values()) - self._domains.keys():
            ours = {row.name: row for row in Domain.objects.filter(name__in=unknown)}
            self._domains |= {host: ours.get(host) for host in unknown}
        return frozenset(m for m, host in hosts.items() if self._domains[host])

    def _targets(self, candidates: Sequence[_Name]) -> Sequence[str] | None:
        """None for what is no alias; the first row found ends the search."""
        domain = self._domains[candidates[0][1]] if candidates else None
        if domain is None:
            return None
        for name in candidates:
            if name in self._changed:
                return self._changed[name]
            if entry := self._entries.get(name):
                is_left_out = self._only_open and not entry.takes_mail
                return None if is_left_out else entry.stands_for
        return admins_of(domain) if candidates[-1][0] in ROLES else None

    def _look_up(self, names: Iterable[_Name]) -> None:
        fresh = [name for name in names if name not in self._seen]
        self._seen.update(fresh)
        hosts = {host for _, host in fresh if self._domains.get(host, True)}
        for host in hosts:
            self._domains.setdefault(host, None)
        entries: dict[int, _Entry] = {}
        for values in _LEVEL.rows(hosts, {local_part for local_part, _ in fresh}):
            domain = self._domain(values[: len(OF_DOMAIN)])
            *of_row, alias, target = values[len(OF_DOMAIN) :]
            # A domain without any of these addresses.
            if of_row[0] is None:
                continue
            if of_row[0] not in entries:
                entries[of_row[0]] = self._enter(domain, of_row, alias)
            if target is not None:
                entries[of_row[0]].targets.append(target)

    def _domain(self, values: Sequence[Any]) -> Domain:
        known = self._domains[values[1]]
        domain = known or made_of(Domain, OF_DOMAIN, values)
        self._domains[values[1]] = domain
        return domain

    def _enter(
        self, domain: Domain, values: Sequence[Any], alias: int | None
    ) -> _Entry:
        row = made_of(Address, OF_ADDRESS, values)
        row.domain = domain
        entry = _Entry(row, alias)
        self._entries[row.local_part, domain.name] = entry
        return entry


@lru_cache(maxsize=10_000)
def _names(mailbox: str) -> Sequence[_Name]:
    """The names an address may have a row under: whole, then less each tag."""
    try:
        path = paths.mailbox(mailbox)
    except BadPath:
        return ()
    names = [path.local_part.lower()]
    while TAG in names[-1]:
        names.append(names[-1].rpartition(TAG)[0])
    return tuple((name, path.domain) for name in names if name)


# The domains of ours among some, those of their addresses that have one of
# these names, and their targets: a row for each, with nothing where none is.
_LEVEL = Prepared(
    lambda hosts, names: (
        Domain.objects.filter(name__in=hosts)
        .annotate(
            named=FilteredRelation(
                "addresses", condition=Q(addresses__local_part__in=names)
            )
        )
        .order_by("named__alias__targets__id")
        .values_list(
            *OF_DOMAIN,
            *(f"named__{name}" for name in OF_ADDRESS),
            "named__alias__id",
            "named__alias__targets__mailbox",
        )
    ),
    set,
    set,
)
