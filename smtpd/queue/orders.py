"""What a person may order about mail that was not sent yet.

An order takes the rows of a query that it applies to and that no worker has in
its hands: a row that was handed over cannot be withdrawn, so it is left alone and
counted as such. Giving an order twice changes nothing the second time. The trace
of each message says who ordered what.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone

from smtpd.models import Delivery, Destination, Event, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.models.destination import DestinationQuerySet
from smtpd.outbound.failures import Failure
from smtpd.queue.nudge import nudge
from smtpd.queue.schedule import FOREVER
from smtpd.queue.tasks import deliver
from smtpd.queue.telling import tell

log = logging.getLogger(__name__)
State = Delivery.State

# Rows in one transaction, and in one request: who wants more says so again.
BATCH = 1000
MOST = 20_000
# Doors look at each failure by itself.
MOST_FAILED = 1000
# Rows of new messages stand in line by a time in the past; what a person wants
# tried now goes before them.
_BEFORE_ALL = timedelta(hours=1)
KIND = "order"


class Order(StrEnum):
    """What may be done."""

    # Not to be tried until somebody says release or retry.
    HOLD = "hold"
    RELEASE = "release"
    # Due now, whatever they waited for; hosts that rest are asked at once.
    RETRY = "retry"
    # At an end now; whoever hears of failures hears of these.
    FAIL = "fail"
    # At an end now, and nobody hears of it.
    DROP = "drop"

    @property
    def most(self) -> int:
        """How many rows one request takes."""
        return MOST_FAILED if self is Order.FAIL else MOST


_OPEN = (State.QUEUED, State.HELD, State.QUARANTINED)
_TAKES = {
    Order.HOLD: (State.QUEUED,),
    Order.RELEASE: (State.HELD,),
    Order.RETRY: (*_OPEN, State.FAILED),
    Order.FAIL: _OPEN,
    Order.DROP: _OPEN,
}
_BECOMES = {
    Order.HOLD: State.HELD,
    Order.RELEASE: State.QUEUED,
    Order.RETRY: State.QUEUED,
    Order.FAIL: State.FAILED,
    Order.DROP: State.CANCELLED,
}
_NOTED = {
    Order.HOLD: "put {copies} on hold",
    Order.RELEASE: "let {copies} go on",
    Order.RETRY: "wanted {copies} tried again at once",
    Order.FAIL: "gave {copies} up, as failed",
    Order.DROP: "dropped {copies}, and nobody is told",
}


@dataclass(frozen=True)
class Reach:
    """What an order would touch now."""

    order: Order
    # By destination, the most first.
    counts: dict[str, int]
    # Of these had failed before, so that somebody may have been told.
    failed: int = 0
    # In the hands of a worker: left alone.
    in_hands: int = 0
    # Destinations among them that somebody put on hold.
    held: Sequence[str] = ()
    # Destinations that rest, and would be asked at once.
    resting: Sequence[str] = ()

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Done:
    """What an order did."""

    order: Order
    count: int
    # In the hands of a worker: left alone.
    in_hands: int = 0
    # There are more; the order may be given again.
    has_more: bool = False
    # Destinations that rested and are asked again.
    woken: int = 0


def reach(order: Order, rows: DeliveryQuerySet) -> Reach:
    """Say what an order would touch, and change nothing."""
    now = timezone.now()
    found = (
        _waiting(order, rows, now)
        .values_list("destination")
        .annotate(n=Count("id"), failed=Count("id", filter=Q(state=State.FAILED)))
        .order_by("-n", "destination")
    )
    counts = {name: n for name, n, _ in found}
    held = Destination.objects.filter(name__in=counts).exclude(held_at=None)
    resting = _resting(rows, now) if order is Order.RETRY else held.none()
    return Reach(
        order,
        counts,
        sum(failed for *_, failed in found),
        _in_hands(order, rows, now),
        list(held.values_list("name", flat=True)),
        list(resting.order_by("name").values_list("name", flat=True)),
    )


def give(
    order: Order, rows: DeliveryQuerySet, by: str, *, most: int | None = None
) -> Done:
    """Carry an order out on the rows of a query, at most so many of them.

    Call it outside a transaction: what became of the rows stays when telling
    somebody about it does not work.
    """
    most = most or order.most
    began = timezone.now()
    woken = 0
    if order is Order.RETRY:
        woken = _resting(rows, began).update(backoff_until=None)
    notes = _Notes(order, by)
    count = 0
    while count < most:
        touched = _take(order, rows, notes, began, min(BATCH, most - count))
        if not touched:
            break
        count += len(touched)
        if order is Order.FAIL:
            tell(touched)
    if (count or woken) and _BECOMES[order] == State.QUEUED:
        nudge(deliver)
    log.info("order=%s by=%s copies=%s woken=%s", order, by, count, woken)
    has_more = count >= most and _waiting(order, rows, began).exists()
    in_hands = _in_hands(order, rows, timezone.now())
    return Done(order, count, in_hands, has_more, woken)


def hold_destination(name: str, by: str) -> bool:
    """Let nothing go there until somebody releases it; False: it was so already.

    What a worker has in its hands still goes out.
    """
    host, _ = Destination.objects.get_or_create(name=name)
    # Without failures no answer of a copy under way lets it go on.
    held = Destination.objects.filter(pk=host.pk, held_at=None).update(
        held_at=timezone.now(), held_by=by[:254], backoff_until=FOREVER, failures=0
    )
    if held:
        log.info("order=hold by=%s destination=%s", by, name)
    return bool(held)


def release_destination(name: str, by: str) -> bool:
    """Let mail go there again; False: it was not on hold."""
    held = Destination.objects.filter(name=name).exclude(held_at=None)
    released = held.update(held_at=None, held_by="", backoff_until=None)
    if released:
        log.info("order=release by=%s destination=%s", by, name)
        nudge(deliver)
    return bool(released)


def _free(now: datetime) -> Q:
    """In no worker's hands: a lease is over when its row is due again."""
    return Q(lease=None) | Q(next_attempt_at__lte=now)


def _in_hands(order: Order, rows: DeliveryQuerySet, now: datetime) -> int:
    return rows.filter(state__in=_TAKES[order]).exclude(_free(now)).count()


def _waiting(order: Order, rows: DeliveryQuerySet, now: datetime) -> DeliveryQuerySet:
    """What the order applies to, and nobody has in hand."""
    found = rows.order_by().filter(_free(now), state__in=_TAKES[order])
    if order is Order.RETRY:
        # Due already: another order of this kind makes no difference.
        return found.exclude(state=State.QUEUED, next_attempt_at__lte=now)
    return found


def _take(
    order: Order,
    rows: DeliveryQuerySet,
    notes: _Notes,
    began: datetime,
    most: int,
) -> list[int]:
    """Change some rows and say so in their traces, both or neither."""
    with transaction.atomic():
        chosen = _waiting(order, rows, began)
        if connection.features.has_select_for_update_skip_locked:
            # A row that a worker is claiming at this moment is in its hands.
            chosen = chosen.select_for_update(skip_locked=True, of=("self",))
        found = list(chosen.values_list("pk", "outgoing_id")[:most])
        _change(order, [pk for pk, _ in found], began)
        notes.add(Counter(outgoing for _, outgoing in found))
    return [pk for pk, _ in found]


def _change(order: Order, ids: Sequence[int], began: datetime) -> None:
    rows = Delivery.objects.filter(pk__in=ids)
    told: dict[str, Any] = {
        "state": _BECOMES[order],
        "lease": None,
        "updated_at": timezone.now(),
    }
    if order is Order.RETRY:
        told |= {"claims": 0, "next_attempt_at": began - _BEFORE_ALL}
    if order is Order.FAIL:
        told |= {"failure": Failure.STOPPED}
    rows.update(**told)


def _resting(rows: DeliveryQuerySet, now: datetime) -> DestinationQuerySet:
    """Hosts that would be asked again; one that a person holds stays on hold."""
    taken = rows.order_by().filter(state__in=_TAKES[Order.RETRY])
    resting = Destination.objects.filter(held_at=None, backoff_until__gt=now)
    return resting.filter(name__in=taken.values("destination"))


@dataclass
class _Notes:
    """One event for each message, however many transactions its rows take."""

    order: Order
    by: str
    _events: dict[int, Event] = field(default_factory=dict)
    _counts: Counter[int] = field(default_factory=Counter)

    def add(self, outgoings: Counter[int]) -> None:
        """Note that so many rows of these were touched."""
        messages = dict(
            Outgoing.objects.filter(pk__in=outgoings).values_list("pk", "message_id")
        )
        touched = Counter[int]()
        for outgoing, count in outgoings.items():
            touched[messages[outgoing]] += count
        self._counts += touched
        old = [self._said(pk) for pk in touched if pk in self._events]
        new = [self._said(pk) for pk in touched if pk not in self._events]
        Event.objects.bulk_create(new)
        Event.objects.bulk_update(old, ["text"], batch_size=500)
        self._events.update((event.message_id, event) for event in new)

    def _said(self, message: int) -> Event:
        count = self._counts[message]
        copies = "1 copy" if count == 1 else f"{count:,} copies"
        text = f"{self.by} {_NOTED[self.order].format(copies=copies)}."
        event = self._events.get(message) or Event(message_id=message, kind=KIND)
        event.text = text
        return event
