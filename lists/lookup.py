"""Lists as VRFY and EXPN ask for them: names, and who is on them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from lists.access import Person, Role, lists_with_role
from lists.models import MailingList, Subscription
from smtpd.entries import Entry, Members
from smtpd.models import Address, Domain


def names(addresses: Sequence[Address]) -> dict[int, str]:
    """What the lists among them are called."""
    rows = MailingList.objects.filter(address__in=[row.pk for row in addresses])
    return dict(rows.values_list("address_id", "name"))


def called(words: str, domains: QuerySet[Domain]) -> QuerySet[Address]:
    """Lists by a part of their name."""
    return Address.objects.filter(
        mailing_list__name__icontains=words, domain__in=domains
    )


def expandable(user: Person) -> QuerySet[Address]:
    """The lists whose member pages somebody may see."""
    lists = lists_with_role(user, Role.OWNER).order_by()
    return Address.objects.filter(mailing_list__in=lists).select_related("domain")


def members(address: Address, limit: int) -> Members:
    """The subscribers, whether they get mail now or not."""
    rows = Subscription.objects.filter(mailing_list__address=address)
    found = rows.values_list("subscriber__address", "subscriber__name")[:limit]
    return Members([Entry(*row) for row in found], rows.count())
