"""Fill a site with aliases, in its own environment: python -m bench.filling COUNT."""

from __future__ import annotations

import sys

import django

BATCH = 5000


def name(number: int) -> str:
    """The local part of an alias."""
    return f"alias-{number}"


def fill(count: int) -> None:
    """Make aliases of one target elsewhere each, until there are so many."""
    from aliases.models import Alias, Target  # noqa: PLC0415 - Django comes first
    from smtpd.models import Address, Domain  # noqa: PLC0415

    domain = Domain.objects.get(name="lists.localhost")
    have = Address.objects.filter(local_part__startswith=name(0)[:-1]).count()
    for start in range(have, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        rows = Address.objects.bulk_create(
            Address(domain=domain, local_part=name(n), kind=Address.Kind.ALIAS)
            for n in numbers
        )
        aliases = Alias.objects.bulk_create(Alias(address=row) for row in rows)
        Target.objects.bulk_create(
            Target(alias=alias, mailbox=f"p{n}@people{n % 1000}.test")
            for n, alias in zip(numbers, aliases, strict=True)
        )


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]))
