"""Fill a site with aliases, in its own environment: python -m bench.filling COUNT."""

from __future__ import annotations

import sys

import django
from django.apps import apps

BATCH = 5000


def name(number: int) -> str:
    """The local part of an alias."""
    return f"alias-{number}"


def fill(count: int) -> None:
    """Make aliases of one target elsewhere each, until there are so many."""
    alias_model = apps.get_model("aliases", "Alias")
    target_model = apps.get_model("aliases", "Target")
    address_model = apps.get_model("smtpd", "Address")
    domain_model = apps.get_model("smtpd", "Domain")
    domain = domain_model.objects.get(name="lists.localhost")
    have = address_model.objects.filter(local_part__startswith=name(0)[:-1]).count()
    for start in range(have, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        rows = address_model.objects.bulk_create(
            address_model(domain=domain, local_part=name(n), kind="alias")
            for n in numbers
        )
        aliases = alias_model.objects.bulk_create(
            alias_model(address=row) for row in rows
        )
        target_model.objects.bulk_create(
            target_model(alias=alias, mailbox=f"p{n}@people{n % 1000}.test")
            for n, alias in zip(numbers, aliases, strict=True)
        )


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]))
