"""Find a recipient's copies, the newest first, for as long as a person waits.

No index knows addresses: it would cost each copy more than its three other writes
do (docs/design.md). The ledger is read backwards in steps instead. Whoever wants
what is older says from where to look further.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.db.models import Max, Min, QuerySet

from smtpd.models import Delivery
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.patience import TooLong, at_most

# Rows looked at in one statement: first few, then more while it is quick.
_FIRST = 5_000
_MOST = 100_000
# Seconds for all of it; who looks further has more patience.
SOON = 0.2
LATER = 1.0


@dataclass
class Found:
    """Rows that were found, and where the search ended."""

    pks: list[int] = field(default_factory=list)
    # Look further before this one; None: there is nothing older.
    before: int | None = None


def newest(rows: DeliveryQuerySet, most: int, before: int | None = None) -> Found:
    """Find the newest of the rows, at most so many, as long as the time allows."""
    end = time.monotonic() + (SOON if before is None else LATER)
    ids = Delivery.objects.aggregate(first=Min("id"), last=Max("id"))
    found = Found()
    if ids["last"] is None:
        return found
    upper = ids["last"] + 1 if before is None else min(before, ids["last"] + 1)
    step = _FIRST
    while upper > ids["first"]:
        lower = max(upper - step, ids["first"])
        began = time.monotonic()
        some = rows.order_by("-id").filter(id__gte=lower, id__lt=upper)
        wanted = most - len(found.pks)
        part = _read(some.values_list("pk", flat=True)[:wanted], end - began)
        if part is None:
            found.before = upper
            return found
        found.pks += part
        if len(part) == wanted:
            found.before = part[-1]
            return found
        upper = lower
        now = time.monotonic()
        if now >= end:
            break
        # As much as fits into what is left of the time, by how it went.
        speed = step / max(now - began, 0.001)
        step = max(_FIRST, min(_MOST, int(speed * (end - now) / 2)))
    found.before = upper if upper > ids["first"] else None
    return found


def _read(pks: QuerySet[Delivery, int], seconds: float) -> list[int] | None:
    """None: there was not enough time."""
    try:
        with at_most(max(seconds, 0.05), by_index=True):
            return list(pks)
    except TooLong:
        return None
