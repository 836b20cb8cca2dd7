"""How fast copies leave, known at the cost of a row every few seconds.

The ledger has no index by the time of sending, because every copy would pay for
it. Each worker adds up what it recorded instead and writes it down now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Sum
from django.utils import timezone

from smtpd.models import Pace

log = logging.getLogger(__name__)

# What the rate is taken over, and how long anything of it is kept.
WINDOW = timedelta(minutes=1)
KEPT = timedelta(hours=1)
# Seconds between two rows of one process. What it records in the last of them
# is written with the next.
_EVERY = 2.0


class _Tally(threading.local):
    """What one thread has sent since it last wrote."""

    sent = 0
    written_at = float("-inf")


_tally = _Tally()


def count(sent: int) -> None:
    """Add copies that were recorded as sent; call it outside a transaction."""
    _tally.sent += sent
    now = time.monotonic()
    if not _tally.sent or now - _tally.written_at < _EVERY:
        return
    at = timezone.now()
    try:
        Pace.objects.create(at=at, sent=_tally.sent)
        Pace.objects.filter(at__lt=at - KEPT).delete()
    except DatabaseError as error:
        # The results are written; this is only for people to look at.
        log.warning("pace state=failed reason=%s", error)
    else:
        _tally.sent, _tally.written_at = 0, now


def per_second() -> float:
    """Copies a second, over the last minute, of all workers."""
    since = timezone.now() - WINDOW
    total = Pace.objects.filter(at__gt=since).aggregate(n=Sum("sent"))["n"] or 0
    return float(total / WINDOW.total_seconds())
