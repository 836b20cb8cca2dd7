"""What the ledger knows of rows that a worker had in its hands when it died.

`suspects.py` says which of them is tried; this asks, and writes down the verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import F, Q

from smtpd.models import Delivery
from smtpd.queue.ledger import Claimed, State


def absolve(messages: Collection[int]) -> None:
    """Count no death against rows that nobody has: it was not they.

    What a dead worker had still may have gone out.
    """
    nobodys = Delivery.objects.waiting().filter(lease=None, claims__gt=0)
    nobodys.filter(outgoing__in=messages).order_by().update(
        claims=0, ambiguous=F("ambiguous") + 1
    )


def rivals(rows: Sequence[Claimed]) -> tuple[set[int], set[int]]:
    """Of the messages of these: those of which somebody else tries a row that
    was in a dead worker's hands, and those of which one was put aside.
    """
    ours = {row.lease for row in rows}
    tried = Q(state=State.QUEUED, claims__gt=1) & ~Q(lease=None) & ~Q(lease__in=ours)
    found = Delivery.objects.filter(
        tried | Q(state=State.QUARANTINED),
        outgoing__in={row.outgoing_id for row in rows},
    ).order_by()
    elsewhere: set[int] = set()
    aside: set[int] = set()
    for message, state in found.values_list("outgoing", "state").distinct():
        (aside if state == State.QUARANTINED else elsewhere).add(message)
    return elsewhere, aside
