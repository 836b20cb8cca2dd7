"""What aliases stand for: typed by a person, and looked up level by level.

The lookup knows an alias the way routing does: by its exact address, else by
what stands before the tag, else as the postmaster or abuse desk that every
domain has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.contrib.auth import get_user_model

from aliases.expansion import MAX_WIDTH, fold
from aliases.models import Alias
from smtpd import paths
from smtpd.models import Address, Domain
from smtpd.paths import BadPath
from smtpd.routing import TAG

# RFC 5321 4.5.1 and RFC 2142 4: a domain always has these.
POSTMASTER = "postmaster"
ROLES = (POSTMASTER, "abuse")


class Problem(NamedTuple):
    """A line that is no target, for the person who typed it."""

    # Counted from 1.
    number: int
    line: str
    text: str


def parse_targets(text: str) -> tuple[list[str], list[Problem]]:
    """Read targets, one a line; return the good ones and what is wrong with others.

    Empty lines and repeated addresses are passed over. Domains come back in
    lower case, local parts as they were typed.
    """
    targets: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            target = str(paths.mailbox(line.strip()))
        except BadPath:
            problems.append(Problem(number, line.strip(), "is not an e-mail address"))
            continue
        targets.setdefault(fold(target), target)
        if len(targets) > MAX_WIDTH:
            problems.append(Problem(number, line.strip(), _TOO_MANY))
            break
    return list(targets.values()), problems


_TOO_MANY = f"is one too many: an alias has at most {MAX_WIDTH} targets"


def admins_of(domain: Domain) -> list[str]:
    """Who answers for a domain: its admins, else the admins of the site."""
    admins = domain.admins.filter(is_active=True)
    everyone = get_user_model().objects.filter(is_active=True, is_superuser=True)
    return [user.email for user in admins] or [user.email for user in everyone]


def role_of(local_part: str) -> str:
    """`postmaster`, `abuse` or nothing; a tag changes nothing."""
    name = local_part.lower().partition(TAG)[0]
    return name if name in ROLES else ""


def open_targets(level: frozenset[str]) -> dict[str, Sequence[str]]:
    """The targets of those of these addresses that are aliases and take mail."""
    return _look_up(level, {}, only_open=True)


def saved_targets(
    level: frozenset[str], instead: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """The same with switched-off aliases, and some as they are about to be."""
    return _look_up(level, instead, only_open=False)


def _look_up(
    level: Iterable[str], instead: Mapping[str, Sequence[str]], *, only_open: bool
) -> dict[str, Sequence[str]]:
    names = {mailbox: _names(mailbox) for mailbox in level}
    hosts = {domain for candidates in names.values() for _, domain in candidates}
    domains = {domain.name: domain for domain in Domain.objects.filter(name__in=hosts)}
    local = {
        mailbox: candidates
        for mailbox, candidates in names.items()
        if candidates and candidates[0][1] in domains
    }
    rows = _rows(local.values(), domains) if local else {}
    changed = {_names(mailbox)[0]: targets for mailbox, targets in instead.items()}
    found: dict[str, Sequence[str]] = {}
    for mailbox, candidates in local.items():
        targets = _targets(candidates, rows, domains, changed, only_open=only_open)
        if targets is not None:
            found[mailbox] = targets
    return found


_Name = tuple[str, str]


def _names(mailbox: str) -> list[_Name]:
    """The names an address may have a row under: whole, then less each tag."""
    try:
        path = paths.mailbox(mailbox)
    except BadPath:
        return []
    names = [path.local_part.lower()]
    while TAG in names[-1]:
        names.append(names[-1].rpartition(TAG)[0])
    return [(name, path.domain) for name in names if name]


def _rows(
    wanted: Iterable[list[_Name]], domains: Mapping[str, Domain]
) -> dict[_Name, Address]:
    names = {name for candidates in wanted for name in candidates}
    rows = (
        Address.objects.filter(
            domain__in=domains.values(), local_part__in={name for name, _ in names}
        )
        .select_related("domain", "alias")
        .prefetch_related("alias__targets")
    )
    return {(row.local_part, row.domain.name): row for row in rows}


def _targets(
    candidates: list[_Name],
    rows: Mapping[_Name, Address],
    domains: Mapping[str, Domain],
    changed: Mapping[_Name, Sequence[str]],
    *,
    only_open: bool,
) -> Sequence[str] | None:
    """None for what is no alias; the first row found ends the search."""
    for name in candidates:
        if name in changed:
            return changed[name]
        if (row := rows.get(name)) is not None:
            return targets_of(row) if not only_open or _takes_mail(row) else None
    local_part, domain = candidates[-1]
    return admins_of(domains[domain]) if local_part in ROLES else None


def targets_of(row: Address) -> list[str] | None:
    """The targets of an alias's address; the domain's admins if it has none.

    Who has moved is at one new address, whatever the targets were before.
    """
    if row.kind == Address.Kind.MOVED:
        return [row.moved_to]
    if row.kind != Address.Kind.ALIAS:
        return None
    try:
        alias = row.alias
    except Alias.DoesNotExist:
        return None
    return [target.mailbox for target in alias.targets.all()] or admins_of(row.domain)


def _takes_mail(row: Address) -> bool:
    """As routing decides it: the postmaster is never switched off."""
    if row.local_part == POSTMASTER:
        return True
    is_refused = row.kind == Address.Kind.MOVED and not row.decision.correction.forwards
    return row.is_open and row.domain.is_active and not is_refused
