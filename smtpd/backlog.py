"""What waits to be sent, by next hop: behind `mailq` and the queue page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Min
from django.db.models.functions import Greatest

from smtpd.models import Delivery, Destination

# States that are no end: somebody or something has to move them on.
UNFINISHED = (
    Delivery.State.QUEUED,
    Delivery.State.HELD,
    Delivery.State.QUARANTINED,
)
# The commonest reasons shown of one destination.
MAX_REASONS = 5


@dataclass(frozen=True)
class Reason:
    """A reply that keeps deliveries waiting, and how many it keeps."""

    reply: str
    count: int


@dataclass
class Backlog:
    """The unfinished deliveries of one destination."""

    destination: str
    states: dict[str, int] = field(default_factory=dict)
    # When the oldest of them was queued, and when the next is due.
    oldest_at: datetime | None = None
    next_attempt_at: datetime | None = None
    # The destination itself is left alone until then, and why.
    backoff_until: datetime | None = None
    last_failure: str = ""
    reasons: list[Reason] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.states.values())


def read_backlog() -> list[Backlog]:
    """Read every destination that has something waiting, the fullest first."""
    found: dict[str, Backlog] = {}
    unfinished = Delivery.objects.filter(state__in=UNFINISHED).order_by()
    rows = unfinished.values("destination", "state").annotate(
        n=Count("id"),
        oldest=Min("outgoing__created_at"),
        due=Min(Greatest("next_attempt_at", "updated_at")),
    )
    for row in rows:
        backlog = found.setdefault(row["destination"], Backlog(row["destination"]))
        backlog.states[row["state"]] = row["n"]
        backlog.oldest_at = min(backlog.oldest_at or row["oldest"], row["oldest"])
        if row["state"] == Delivery.State.QUEUED:
            backlog.next_attempt_at = row["due"]
    for name, reasons in _reasons().items():
        found[name].reasons = reasons
    for trouble in Destination.objects.filter(name__in=found):
        found[trouble.name].backoff_until = trouble.backoff_until
        found[trouble.name].last_failure = trouble.last_failure
    return sorted(found.values(), key=lambda backlog: -backlog.count)


def _reasons() -> dict[str, list[Reason]]:
    rows = (
        Delivery.objects.filter(state__in=UNFINISHED)
        .exclude(code=None, text="")
        .order_by()
        .values_list("destination", "code", "enhanced", "text")
        .annotate(n=Count("id"))
        .order_by("-n")
    )
    reasons: dict[str, list[Reason]] = defaultdict(list)
    for destination, code, enhanced, text, count in rows:
        if len(reasons[destination]) < MAX_REASONS:
            said = " ".join(filter(None, (str(code or ""), enhanced, text)))
            reasons[destination].append(Reason(said, count))
    return reasons
