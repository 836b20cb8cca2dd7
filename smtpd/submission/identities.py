"""Who may send as what (RFC 6409 6.1).

An address is somebody's when mail to it reaches them: the address they sign in
with, the aliases that lead to it, and whatever else the doors say of them. The
admins of a domain speak for every address in it. An address of this site that
takes no mail is nobody's: whoever switched it off meant that too. The address
of a list is not its owners': a post comes from a person.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.base_user import AbstractBaseUser

from smtpd import paths, routing
from smtpd.models import Domain
from smtpd.paths import BadPath
from smtpd.routing import Route


def addresses_of(user: AbstractBaseUser) -> frozenset[str]:
    """Every address that is somebody's own, folded; not those of their domains."""
    own = user.get_username().lower()
    found = {own} if _is_open(own) else set()
    for door in routing.doors().values():
        found.update(address.lower() for address in door.addresses_of(own))
    return frozenset(found)


def domains_of(user: AbstractBaseUser) -> frozenset[str]:
    """The domains somebody runs."""
    names = Domain.objects.run_by(user).values_list("name", flat=True)
    return frozenset(names)


def has_hosted(addresses: Iterable[str]) -> bool:
    """Whether one of these is an address of this site."""
    domains = {address.rpartition("@")[2] for address in addresses}
    return Domain.objects.filter(name__in=domains).exists()


def _is_open(mailbox: str) -> bool:
    """Elsewhere it is not ours to say; here it must take mail."""
    try:
        path = paths.mailbox(mailbox)
    except BadPath:
        return False
    if not Domain.objects.filter(name=path.domain).exists():
        return True
    return isinstance(routing.resolve(path), Route)
