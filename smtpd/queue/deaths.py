"""What the ledger knows of rows that a worker had in its hands when it died.

`suspects.py` says which of them is tried; this asks, and writes down the verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from smtpd.models import Delivery
from smtpd.queue.ledger import LEASE, Claimed, State, new_lease

# Less than there is between a claim and the first renewal of its lease.
_A_MOMENT = timedelta(milliseconds=100)


def take(rows: Sequence[Claimed]) -> list[Claimed]:
    """Claim rows that a dead worker had; not those that somebody else has by now.

    They may have been sent: that is the `ambiguous` of a worker that died.
    """
    lease, now = new_lease(), timezone.now()
    nobodys = Delivery.objects.waiting().filter(lease=None, claims__gt=0).order_by()
    nobodys.filter(pk__in=[row.id for row in rows]).update(
        lease=lease,
        attempts=F("attempts") + 1,
        claims=F("claims") + 1,
        ambiguous=F("ambiguous") + 1,
        next_attempt_at=now + LEASE,
        updated_at=now,
    )
    ours = Delivery.objects.filter(lease=lease).in_bulk([row.id for row in rows])
    return [
        row._replace(
            attempts=ours[row.id].attempts, claims=ours[row.id].claims, lease=lease
        )
        for row in rows
        if row.id in ours
    ]


def absolve(messages: Collection[int]) -> None:
    """Count no death against rows that nobody has: it was not they.

    What a dead worker had still may have gone out.
    """
    nobodys = Delivery.objects.waiting().filter(lease=None, claims__gt=0)
    nobodys.filter(outgoing__in=messages).order_by().update(
        claims=0, ambiguous=F("ambiguous") + 1
    )


def rivals(messages: Collection[int]) -> tuple[set[int], set[int]]:
    """Those of which a row that was in a dead worker's hands is being tried, or was
    when another worker died a moment ago; and those of which one was put aside.

    Whoever has renewed a lease lives, and does not die of what it tries: at a slow
    server that may take minutes.
    """
    first_lease = F("updated_at") + LEASE + _A_MOMENT
    tried = Q(state=State.QUEUED, claims__gt=1, next_attempt_at__lt=first_lease)
    tried &= ~Q(lease=None)
    found = Delivery.objects.filter(
        tried | Q(state=State.QUARANTINED), outgoing__in=messages
    ).order_by()
    elsewhere: set[int] = set()
    aside: set[int] = set()
    for message, state in found.values_list("outgoing", "state").distinct():
        (aside if state == State.QUARANTINED else elsewhere).add(message)
    return elsewhere, aside
