"""What people do with aliases. Each verb refuses with a reason to show."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from aliases.book import Book
from aliases.expansion import Unbounded, find_cycle, fold
from aliases.models import Alias, Target
from aliases.targets import ROLES, Problem, parse_targets, role_of
from smtpd import paths, routing
from smtpd.models import Address, Domain
from smtpd.paths import BadPath, Path

__all__ = [
    "BadTargets",
    "Problem",
    "Refused",
    "check_targets",
    "create",
    "delete",
    "disable",
    "enable",
    "is_role",
    "mailbox_of",
    "one_at_a_time",
    "parse_targets",
    "provision",
    "refuse_role",
    "set_last_day",
    "update",
]

log = logging.getLogger(__name__)

# Local parts that mean something to the mail server itself.
RESERVED = frozenset({"bounces", "leave", "confirm", "mailer-daemon"})


class Refused(ValidationError):
    """What was asked is not possible; its messages say why, to a person."""


class BadTargets(Refused):
    """Some lines are not targets."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__([f"Line {p.number}: {p.line} {p.text}." for p in problems])
        self.problems = tuple(problems)


@transaction.atomic
def create(address: str, targets: Iterable[str], description: str = "") -> Alias:
    """Make a new alias of a hosted domain.

    Refused when the address is taken, reserved or not ours, and for targets
    that are none or lead back to it.
    """
    one_at_a_time()
    path, domain = check_address(address)
    checked = check_targets(str(path), targets)
    row = _take_address(domain, path.local_part)
    alias = Alias.objects.create(address=row, description=description)
    _write(alias, checked)
    log.info("alias=%s created targets=%d", alias, len(checked))
    return alias


@transaction.atomic
def update(
    alias: Alias, targets: Iterable[str], description: str | None = None
) -> None:
    """Give an alias these targets instead; mail already accepted keeps its own."""
    one_at_a_time()
    checked = check_targets(mailbox_of(alias), targets)
    _write(alias, checked)
    if description is not None:
        alias.description = description
        alias.save(update_fields=["description"])
    log.info("alias=%s updated targets=%d", alias, len(checked))


def enable(alias: Alias) -> None:
    """Let an alias take mail again."""
    _set_enabled(alias, enabled=True)


def disable(alias: Alias) -> None:
    """Refuse mail to an alias, without forgetting its targets."""
    refuse_role(alias, "disabled")
    _set_enabled(alias, enabled=False)


def set_last_day(alias: Alias, day: date | None) -> None:
    """Let an alias take mail until the end of a day, or for ever with None."""
    address = alias.address
    if day == address.last_day:
        return
    refuse_role(alias, "given a last day")
    address.expires_at = None
    if day is not None:
        end = datetime.combine(day + timedelta(days=1), time())
        address.expires_at = timezone.make_aware(end)
    address.save(update_fields=["expires_at"])
    log.info("alias=%s last-day=%s", alias, day or "none")


@transaction.atomic
def delete(alias: Alias) -> None:
    """Give up the address; mail already accepted is still delivered."""
    refuse_role(alias, "deleted")
    name = str(alias)
    alias.address.delete()
    log.info("alias=%s deleted", name)


@transaction.atomic
def provision(domain: Domain) -> None:
    """Give a domain its postmaster and abuse desk (RFC 5321 4.5.1, RFC 2142).

    They lead to the domain's admins until they get targets of their own. An
    address that is there already, whatever it is, stays as it is.
    """
    for role in ROLES:
        row, is_new = Address.objects.get_or_create(
            domain=domain, local_part=role, defaults={"kind": Address.Kind.ALIAS}
        )
        if is_new:
            Alias.objects.create(address=row)


def is_role(alias: Alias) -> bool:
    """Whether it is a postmaster or abuse desk, which every domain keeps."""
    return alias.address.local_part in ROLES


def check_address(address: str) -> tuple[Path, Domain]:
    """Return the parts of an address that can become an alias, or refuse it."""
    try:
        path = paths.mailbox(address.strip().lower())
    except BadPath:
        raise Refused(f"{address} is not an e-mail address.") from None
    domain = Domain.objects.filter(name=path.domain).first()
    if domain is None:
        raise Refused(f"{path.domain} is not a domain of this site.")
    if Address.objects.filter(domain=domain, local_part=path.local_part).exists():
        raise Refused(f"{path} is taken.")
    if path.local_part in RESERVED or _is_spoken_for(path.local_part, domain):
        raise Refused(f"{path} is reserved.")
    return path, domain


def one_at_a_time() -> None:
    """Let those who change what leads where pass one after the other.

    Two changes that are harmless alone may be a circle together, on whatever
    domains: so all of them take the same row, the first domain's, before they
    look. On SQLite a transaction is alone as it is.
    """
    first = Domain.objects.select_for_update(no_key=True).order_by("pk")[:1]
    list(first)


def check_targets(mailbox: str, targets: Iterable[str]) -> list[str]:
    """Return the targets as they would be saved for this address, or refuse them.

    A cycle is refused with its path. Only a postmaster or an abuse desk may
    have no targets: its mail then goes to the domain's admins.
    """
    checked, problems = parse_targets("\n".join(targets))
    if problems:
        raise BadTargets(problems)
    if not checked and not role_of(mailbox.rpartition("@")[0]):
        raise Refused("An alias needs at least one target.")
    if fold(mailbox) in map(fold, checked):
        raise Refused(f"{mailbox} cannot be its own target.")
    instead = {fold(mailbox): checked} if checked else {}
    try:
        path = find_cycle(mailbox, Book(instead, only_open=False).targets_of)
    except Unbounded as problem:
        raise Refused(f"{problem}.") from None
    if path:
        raise Refused(f"The targets lead back: {' -> '.join(path)}.")
    return checked


def _is_spoken_for(local_part: str, domain: Domain) -> bool:
    """Whether it is a token address, or belongs to another one: `talk-owner`."""
    return any(
        door.signed(local_part, domain) is not None
        or (name != "aliases" and door.sub_address(local_part, domain) is not None)
        for name, door in routing.doors().items()
    )


def _take_address(domain: Domain, local_part: str) -> Address:
    try:
        with transaction.atomic():
            return Address.objects.create(
                domain=domain, local_part=local_part, kind=Address.Kind.ALIAS
            )
    except IntegrityError:
        # Somebody else was faster since check_address looked.
        raise Refused(f"{local_part}@{domain} is taken.") from None


def _write(alias: Alias, targets: Sequence[str]) -> None:
    alias.targets.all().delete()
    Target.objects.bulk_create(
        Target(alias=alias, mailbox=target) for target in targets
    )


def _set_enabled(alias: Alias, *, enabled: bool) -> None:
    alias.address.is_enabled = enabled
    alias.address.save(update_fields=["is_enabled"])
    log.info("alias=%s enabled=%s", alias, enabled)


def refuse_role(alias: Alias, what: str) -> None:
    """Raise Refused for what cannot be done to a postmaster or abuse desk."""
    if is_role(alias):
        raise Refused(f"{alias} cannot be {what}: every domain must have it.")


def mailbox_of(alias: Alias) -> str:
    """The address in wire form, quoted where it must be."""
    return str(Path(alias.address.local_part, alias.address.domain.name))
