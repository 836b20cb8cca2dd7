"""Whose aliases are whose: who runs a domain runs its aliases."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404

from aliases.models import Alias
from smtpd.access import Person, domains_of
from smtpd.models import Address


def aliases_of(user: Person) -> QuerySet[Alias]:
    """The aliases of the domains somebody runs, moved ones among them."""
    return Alias.objects.filter(address__domain__in=domains_of(user)).select_related(
        "address__domain"
    )


def alias_for_admin(user: Person, address: str) -> Alias:
    """An alias somebody runs, or 404."""
    rows = Address.objects.named(address)
    alias = aliases_of(user).filter(address__in=rows).first()
    if alias is None:
        raise Http404("no such alias")
    return alias
