"""Which aliases lead to a mailbox: the expansion, backwards.

One statement a level, as forwards; an alias that is switched off leads nowhere.
"""

from __future__ import annotations

from django.db.models.functions import Lower

from aliases.expansion import MAX_DEPTH, fold
from aliases.models import Target
from smtpd.models import Address


def leading_to(mailbox: str) -> frozenset[str]:
    """Every open alias that brings its mail to a folded mailbox."""
    found: set[str] = set()
    level = {mailbox}
    for _ in range(MAX_DEPTH):
        level = _before(level) - found
        if not level:
            break
        found |= level
    return frozenset(found)


def _before(level: set[str]) -> set[str]:
    """The open aliases with one of these among their targets."""
    rows = (
        Target.objects.annotate(folded=Lower("mailbox"))
        .filter(
            folded__in=level,
            alias__address__kind=Address.Kind.ALIAS,
            alias__address__domain__is_active=True,
        )
        .select_related("alias__address__domain")
    )
    addresses = (target.alias.address for target in rows)
    return {fold(str(address)) for address in addresses if address.is_open}
