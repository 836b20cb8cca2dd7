"""Prune what is over: a little at a time, beside mail that flows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from smtpd.models import Copy, Delivery, Message, Outgoing, Report
from smtpd.models.delivery import FINAL
from smtpd.models.outgoing import TALLY
from smtpd.routing import doors

log = logging.getLogger(__name__)

# What one run may take of a worker's time, in seconds.
RUN = 10.0
# A row has rested so long: the sweeps for bounces and reports look back a day.
REST = timedelta(days=2)
# SQLite has one writer, and mail that comes in waits for it.
_BATCH = {"sqlite": 500}
_MOST = 2000
# Outgoings, and messages, looked at in one statement.
_PAGE = 200
_WALK = 500
_PLACE = "retention:message"

State = Delivery.State


def prune(seconds: float = RUN) -> bool:
    """Do away with what is older than KEEP_DAYS; True when there is more.

    Two at once share the work: each leaves out what the other has locked.
    """
    if not settings.KEEP_DAYS:
        return False
    before = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    until = time.monotonic() + seconds
    steps: tuple[Callable[[datetime, float], int], ...] = (_ledger, _messages, _copies)
    gone = {step.__name__[1:]: step(before, until) for step in steps}
    if any(gone.values()):
        log.info("pruned %s", " ".join(f"{what}={n}" for what, n in gone.items()))
    return time.monotonic() >= until


def finished(before: datetime) -> QuerySet[Outgoing]:
    """Those of which nothing waits, nothing is new and nobody is owed a report."""
    over = timezone.now() - REST
    rows = Delivery.objects.filter(outgoing=OuterRef("pk"))
    active = rows.exclude(state__in=FINAL, updated_at__lt=over)
    owed = Report.objects.owed().filter(message=OuterRef("message"))
    return Outgoing.objects.filter(
        ~Exists(active), ~Exists(owed), pruned_at=None, created_at__lt=before
    )


# --- the ledger


def _ledger(before: datetime, until: float) -> int:
    """Rows of finished mail become counts in their outgoing; return how many."""
    count = 0
    while time.monotonic() < until:
        page = finished(before).order_by("created_at").values_list("pk", flat=True)
        ids = list(page[:_PAGE])
        taken, ended = _take_all(ids, until)
        count += taken
        # Fewer: those were the last. None: somebody else has them in hand.
        if len(ids) < _PAGE or not (taken or ended):
            break
    return count


def _take_all(ids: Sequence[int], until: float) -> tuple[int, int]:
    """Return how many rows went, and how many outgoings have none any more."""
    count = ended = 0
    most = _BATCH.get(connection.vendor, _MOST)
    while time.monotonic() < until:
        taken = _take(ids, most)
        count += taken
        if taken < most:
            ended = _end(ids)
            break
    return count, ended


def _take(ids: Sequence[int], most: int) -> int:
    """One batch of rows, each counted in its outgoing; return how many."""
    with transaction.atomic():
        outgoings = {outgoing.pk: outgoing for outgoing in _lock(ids).only(*TALLY)}
        rows = (
            Delivery.objects.select_for_update(of=("self",))
            .filter(outgoing__in=list(outgoings), state__in=FINAL)
            .order_by()
            .values_list("outgoing_id", "pk", "state", "updated_at")
        )
        found: dict[int, list[tuple[int, str, datetime]]] = {}
        for outgoing_id, pk, state, at in rows[:most]:
            found.setdefault(outgoing_id, []).append((pk, state, at))
        for outgoing_id, some in found.items():
            _tell(outgoings[outgoing_id], some)
        changed = [outgoings[pk] for pk in found]
        Outgoing.objects.bulk_update(changed, TALLY, batch_size=50)
        gone = [pk for some in found.values() for pk, *_ in some]
        Delivery.objects.only("pk").filter(pk__in=gone).delete()
        return len(gone)


def _end(ids: Sequence[int]) -> int:
    """Of outgoings without rows the bytes go too; return how many there were."""
    rows = Delivery.objects.filter(outgoing=OuterRef("pk"))
    with transaction.atomic():
        empty = list(_lock(ids).filter(~Exists(rows)).values_list("pk", flat=True))
        return Outgoing.objects.filter(pk__in=empty).update(
            pruned_at=timezone.now(), head=b"", copy_head=b"", body=None
        )


def _lock(ids: Sequence[int]) -> QuerySet[Outgoing]:
    """Those that nobody else is pruning."""
    locked = Outgoing.objects.select_for_update(skip_locked=True, no_key=True)
    return locked.filter(pk__in=ids, pruned_at=None)


def _tell(outgoing: Outgoing, rows: Sequence[tuple[int, str, datetime]]) -> None:
    """Add to the outgoing what the rows say."""
    states = Counter(state for _, state, _ in rows)
    outgoing.pruned_sent += states[State.SENT]
    outgoing.pruned_failed += states[State.FAILED]
    outgoing.pruned_cancelled += states[State.CANCELLED]
    times = [at for _, state, at in rows if state == State.SENT]
    times += filter(None, (outgoing.first_sent_at, outgoing.last_sent_at))
    if times:
        outgoing.first_sent_at, outgoing.last_sent_at = min(times), max(times)


# --- messages, with their bytes and their trace


def _messages(before: datetime, until: float) -> int:
    """Messages that no app needs; return how many.

    Those that stay are walked over again and again, so a run goes on where the
    last one stopped.
    """
    count, place = 0, int(cache.get(_PLACE, 0))
    while time.monotonic() < until:
        ids = _over(before, place)
        kept = {pk for door in doors().values() for pk in door.kept(ids)}
        gone = [pk for pk in ids if pk not in kept]
        Message.objects.only("pk").filter(pk__in=gone).delete()
        count += len(gone)
        place = ids[-1] if len(ids) == _WALK else 0
        cache.set(_PLACE, place, None)
        if not place:
            break
    return count


def _over(before: datetime, place: int) -> list[int]:
    unpruned = Outgoing.objects.filter(message=OuterRef("pk"), pruned_at=None)
    owed = Report.objects.owed().filter(message=OuterRef("pk"))
    rows = Message.objects.filter(
        ~Exists(unpruned), ~Exists(owed), received_at__lt=before, pk__gt=place
    )
    return list(rows.order_by("pk").values_list("pk", flat=True)[:_WALK])


# --- RELAY=mailbox


def _copies(before: datetime, until: float) -> int:
    """Caught copies; return how many."""
    count = 0
    while time.monotonic() < until:
        rows = Copy.objects.filter(received_at__lt=before).order_by("received_at")
        ids = list(rows.values_list("pk", flat=True)[:_WALK])
        Copy.objects.filter(pk__in=ids).delete()
        count += len(ids)
        if len(ids) < _WALK:
            break
    return count
