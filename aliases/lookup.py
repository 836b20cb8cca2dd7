"""Aliases as VRFY and EXPN ask for them: names, and who is behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.contrib.auth import get_user_model
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Lower

from aliases.models import Alias, Target
from aliases.targets import admins_of
from smtpd.access import Person, domains_of
from smtpd.entries import Entry, Members
from smtpd.models import Address, Domain

# Accounts looked at for one name; more is no answer.
MAX_PEOPLE = 50


def names(addresses: Sequence[Address]) -> dict[int, str]:
    """The person's own name where an alias stands for one, else its note."""
    rows = Alias.objects.filter(address__in=[row.pk for row in addresses])
    people: dict[int, str] = {}
    found: dict[int, str] = {}
    for alias in rows.prefetch_related("targets"):
        found[alias.address_id] = alias.description
        targets = alias.targets.all()
        if len(targets) == 1:
            people[alias.address_id] = targets[0].mailbox.lower()
    accounts = _accounts(people.values())
    return found | {pk: accounts[who] for pk, who in people.items() if who in accounts}


def called(words: str, domains: QuerySet[Domain]) -> QuerySet[Address]:
    """By the note, or by the name of the one account an alias stands for."""
    accounts = get_user_model().objects.filter(is_active=True, name__icontains=words)
    emails = list(accounts.values_list("email", flat=True)[:MAX_PEOPLE])
    alone = (
        Target.objects.annotate(folded=Lower("mailbox"), width=Count("alias__targets"))
        .filter(folded__in=emails, width=1)
        .values_list("alias", flat=True)
    )
    by_name = Q(alias__in=list(alone)) | Q(alias__description__icontains=words)
    return Address.objects.filter(by_name, domain__in=domains)


def expandable(user: Person) -> QuerySet[Address]:
    """The aliases of the domains somebody runs."""
    return Address.objects.filter(
        kind=Address.Kind.ALIAS, domain__in=domains_of(user)
    ).select_related("domain")


def members(address: Address, limit: int) -> Members:
    """The targets, as they are written down; a role's admins."""
    targets = Target.objects.filter(alias__address=address)
    mailboxes = list(targets.values_list("mailbox", flat=True))
    mailboxes = mailboxes or admins_of(address.domain)
    accounts = _accounts(mailbox.lower() for mailbox in mailboxes[:limit])
    entries = [
        Entry(mailbox, accounts.get(mailbox.lower(), "")) for mailbox in mailboxes
    ]
    return Members(entries[:limit], len(mailboxes))


def _accounts(mailboxes: Iterable[str]) -> dict[str, str]:
    """The names of those who have an account with one."""
    accounts = get_user_model().objects.filter(email__in=list(mailboxes))
    return dict(accounts.exclude(name="").values_list("email", "name"))
