"""How far the copies of a message are: counts, speed, first and last.

One scan of the index on `outgoing` for all of it: a post to 100,000 costs tens of
milliseconds, and is not read again at once (`backlog.sparingly`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone
from django.utils.timesince import timesince

from smtpd.backlog import sparingly
from smtpd.models import Delivery, Message, Outgoing

State = Delivery.State
# What the speed is taken over.
WINDOW = timedelta(seconds=10)


@dataclass(frozen=True)
class Progress:
    """The copies of one message."""

    received_at: datetime
    sent: int = 0
    # Not tried yet, or in a worker's hands.
    in_line: int = 0
    # Tried, and to be tried again.
    waiting: int = 0
    # On hold, or quarantined: a person must do something.
    held: int = 0
    failed: int = 0
    cancelled: int = 0
    # Copies a second, lately.
    rate: float = 0.0
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def total(self) -> int:
        """All there are."""
        ends = self.sent + self.failed + self.cancelled
        return ends + self.in_line + self.waiting + self.held

    @property
    def is_running(self) -> bool:
        """Whether it changes by itself."""
        return bool(self.in_line or self.waiting)

    @property
    def first_after(self) -> timedelta | None:
        """From our 250 to the first copy that was taken."""
        return self.first_at - self.received_at if self.first_at else None

    @property
    def last_after(self) -> timedelta | None:
        """The same of the last one, so far."""
        return self.last_at - self.received_at if self.last_at else None

    def __str__(self) -> str:
        return ", ".join(
            [
                f"{self.sent:,} of {self.total:,} sent",
                *(f"{n:,} {what}" for what, n in self._parts() if n),
                *([f"{self.rate:,.0f}/s"] if self.rate >= 1 else []),
            ]
        )

    def _parts(self) -> Sequence[tuple[str, int]]:
        return (
            ("in line", self.in_line),
            ("waiting", self.waiting),
            ("on hold", self.held),
            ("failed", self.failed),
            ("dropped", self.cancelled),
        )

    @property
    def times(self) -> str:
        """How long the first and the last copy took, in words."""
        if self.first_after is None or self.last_after is None:
            return ""
        last = "last so far" if self.is_running else "last copy"
        first, until = span(self.first_after), span(self.last_after)
        return f"first copy after {first}, {last} after {until}"


def read(message: Message) -> Progress:
    """Read how far the copies of a message are."""
    return sparingly(("progress", message.pk), lambda: _read(message))[0]


def span(time: timedelta) -> str:
    """A time people can read: 0.08 s, 12 s, 3 min 5 s, 2 h 10 min."""
    seconds = max(time.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def apart(one: datetime, other: datetime) -> str:
    """Roughly how long it is between two moments: under a minute, 2 hours."""
    first, last = sorted((one, other))
    is_short = last - first < timedelta(minutes=1)
    return "under a minute" if is_short else timesince(first, last, depth=1)


def _read(message: Message) -> Progress:
    now = timezone.now()
    sent, queued = Q(state=State.SENT), Q(state=State.QUEUED)
    tried = queued & ~Q(failure="") & Q(lease=None)
    counted = Delivery.objects.filter(outgoing__message=message).aggregate(
        sent=Count("id", filter=sent),
        waiting=Count("id", filter=tried),
        queued=Count("id", filter=queued),
        held=Count("id", filter=Q(state__in=(State.HELD, State.QUARANTINED))),
        failed=Count("id", filter=Q(state=State.FAILED)),
        cancelled=Count("id", filter=Q(state=State.CANCELLED)),
        lately=Count("id", filter=sent & Q(updated_at__gt=now - WINDOW)),
        first=Min("updated_at", filter=sent),
        last=Max("updated_at", filter=sent),
    )
    gone = Outgoing.objects.filter(message=message).aggregate(
        sent=Sum("pruned_sent"),
        failed=Sum("pruned_failed"),
        cancelled=Sum("pruned_cancelled"),
        first=Min("first_sent_at"),
        last=Max("last_sent_at"),
    )
    firsts = [at for at in (counted["first"], gone["first"]) if at]
    return Progress(
        message.received_at,
        sent=counted["sent"] + (gone["sent"] or 0),
        in_line=counted["queued"] - counted["waiting"],
        waiting=counted["waiting"],
        held=counted["held"],
        failed=counted["failed"] + (gone["failed"] or 0),
        cancelled=counted["cancelled"] + (gone["cancelled"] or 0),
        rate=_rate(counted["lately"], min(firsts, default=now), now),
        first_at=min(firsts, default=None),
        last_at=max((at for at in (counted["last"], gone["last"]) if at), default=None),
    )


def _rate(lately: int, first: datetime, now: datetime) -> float:
    """Copies a second; what began a moment ago has had less time."""
    seconds = min(WINDOW, max(now - first, timedelta(seconds=1))).total_seconds()
    return lately / seconds
