"""How many rows of the ledger are of which kind, where there are too many to count.

A part of the ledger stands for all of it: runs of neighbours, evenly spread, and
closer together where rows are young, because what waits is mostly young.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from django.db.models import Case, Count, FloatField, Max, Min, Q, Sum, When

from smtpd.models import Delivery
from smtpd.models.delivery import DeliveryQuerySet

# Up to so many rows are counted one by one.
MOST = 10_000
# The youngest part is a 1024th of the ledger, each further one as much as all before
# it; each gives so many runs of so many rows.
PARTS = 11
RUNS = 12
LENGTH = 100


@dataclass(frozen=True)
class Sample:
    """Which rows are looked at, and for how many each of them stands."""

    rows: DeliveryQuerySet
    # None: for itself.
    weight: Case | None = None

    @property
    def is_whole(self) -> bool:
        """Every row is looked at."""
        return self.weight is None

    def count(self, which: Q | None = None) -> Count | Sum:
        """The aggregate that says how many there are."""
        if self.weight is None:
            return Count("id", filter=which)
        return Sum(self.weight, filter=which, default=0.0)

    def to(self, destinations: Collection[str]) -> Self:
        """The same for some destinations only."""
        return replace(self, rows=self.rows.filter(destination__in=destinations))


def sample(rows: DeliveryQuerySet) -> Sample:
    """Choose what to look at: all of them if they are few."""
    # In the order of the indexes on what waits, which are read no further then.
    if rows.order_by("destination")[: MOST + 1].count() <= MOST:
        return Sample(rows)
    ends = Delivery.objects.aggregate(first=Min("id"), last=Max("id"))
    first, last = ends["first"], ends["last"] + 1
    looked: list[Q] = []
    whens = []
    end = last
    for number in range(PARTS):
        begin = last - (last - first >> PARTS - 1 - number)
        runs = _runs(begin, end)
        looked += [Q(id__range=(at, at + LENGTH - 1)) for at in runs]
        stands_for = (end - begin) / (len(runs) * LENGTH)
        whens.append(When(id__gte=begin, then=stands_for))
        end = begin
    return Sample(
        rows.filter(Q(*looked, _connector=Q.OR)),
        Case(*whens, output_field=FloatField()),
    )


def rough(count: float) -> int:
    """Two digits say all that is known of it."""
    size = 10 ** max(0, len(str(round(count))) - 2)
    return int(round(count / size) * size)


def _runs(begin: int, end: int) -> list[int]:
    """Where runs begin, each in the middle of its share."""
    share = max(LENGTH, (end - begin) // RUNS)
    count = max(1, (end - begin) // share)
    return [begin + share * n + (share - LENGTH) // 2 for n in range(count)]
