"""What a result makes of its row."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from smtpd.dsn import Action
from smtpd.models import Delivery, Report
from smtpd.outbound.failures import Failure
from smtpd.outbound.results import Outcome, Result
from smtpd.queue import ledger, pace, schedule
from smtpd.queue.ledger import Change, Claimed

logger = logging.getLogger(__name__)
# Seconds between two lines about the same destination that does not want us.
_SAY_AGAIN = 3600.0
_said_at: dict[str, float] = {}
State = Delivery.State


def record(changes: Sequence[Change]) -> list[int]:
    """Write results; return which have failed for good, for the apps to be told."""
    recorded = _write(changes)
    failed = [
        change.row.id
        for change in changes
        if change.state == State.FAILED and change.row.id in recorded
    ]
    for change in changes:
        if change.state != State.SENT and change.text:
            _log(change)
    _warn(changes)
    sent = [change.row.id for change in changes if change.state == State.SENT]
    pace.count(len(recorded.intersection(sent)))
    return failed


def _warn(changes: Sequence[Change]) -> None:
    """Say loudly who does not want mail from us; `alarms` tells the rest."""
    now = time.monotonic()
    for change in changes:
        name = change.row.destination
        if change.failure == Failure.BLOCKED:
            if now - _said_at.get(name, -_SAY_AGAIN) < _SAY_AGAIN:
                continue
            _said_at[name] = now
            logger.error(
                "destination=%s state=blocking code=%s enhanced=%s text=%s",
                *(name, change.code, change.enhanced, change.text),
            )


def _write(changes: Sequence[Change]) -> set[int]:
    """Write results, and with them the reports that they owe."""
    owing = [change.row.id for change in changes if change.owes_report]
    if not owing:
        return ledger.record(changes)
    with transaction.atomic():
        recorded = ledger.record(changes)
        _owe(recorded.intersection(owing))
    return recorded


def _owe(delivery_ids: Iterable[int]) -> None:
    """Once a message and address that the sender wrote to."""
    rows = Delivery.objects.filter(pk__in=delivery_ids).select_related("outgoing")
    light = rows.defer("outgoing__head", "outgoing__copy_head", "outgoing__body")
    owed = [
        Report(
            message_id=row.outgoing.message_id,
            address=row.outgoing.forward_path or row.address,
            action=Action.RELAYED,
            delivery=row,
        )
        for row in light
    ]
    Report.objects.bulk_create(owed, ignore_conflicts=True)


def _log(change: Change) -> None:
    logger.info(
        "delivery=%s state=%s failure=%s code=%s enhanced=%s host=%s text=%s",
        *(change.row.id, change.state, change.failure, change.code),
        *(change.enhanced, change.host, change.text),
    )


def changed(
    row: Claimed, result: Result, queued_at: datetime | None, *, is_attempt: bool = True
) -> Change:
    """What a result makes of its row."""
    now = timezone.now()
    state, due_at = State.SENT, None
    if result.outcome is not Outcome.SENT:
        age = now - queued_at if queued_at else timedelta(0)
        if schedule.is_final(result, age, settings.GIVE_UP_DAYS):
            state = State.FAILED
        else:
            state = State.QUEUED
            wait = schedule.next_wait(row.attempts, random.random())  # noqa: S311 - jitter
            due_at = now + wait if is_attempt else None
    return Change(
        row,
        state,
        due_at,
        result.is_ambiguous,
        is_attempt,
        result.code,
        result.enhanced,
        result.text,
        result.host,
        str(result.failure or ""),
        owes_report=result.owes_report,
    )
