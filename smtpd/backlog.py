"""What waits to be sent, by next hop: behind `mailq` and the queue page.

One statement groups the rows that are at no end, found by partial indexes; what
was sent is not looked at, however much of it there is. Of very many rows a page
reads a sample (`smtpd/sampling.py`) and says `about`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import Case, IntegerField, Max, Min, Q, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone

from smtpd.models import Delivery, Destination, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.outbound.failures import WORDS, Failure
from smtpd.sampling import Sample, rough, sample

T = TypeVar("T")
State = Delivery.State
# States that are no end: somebody or something has to move them on.
UNFINISHED = (State.QUEUED, State.HELD, State.QUARANTINED)
# The commonest reasons shown of one destination.
MAX_REASONS = 5
# Of a sample: destinations with less than this are counted after all, of so many
# of the fullest and of those in trouble.
_FEW = 500
_MOST_COUNTED = 40
# How old the messages are that wait: younger than this, or older than all.
BANDS = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
BAND_NAMES = ("under 5 minutes", "under 1 hour", "under 1 day", "older")
# What was read is shown again for so many times as long as reading took: at most
# a twentieth of a core is busy with it, however many look.
_REST = 20
_CHEAP = 0.05


class Standing(StrEnum):
    """How a destination is doing."""

    WELL = "well"
    # It failed, and is being asked again.
    SLOWED = "slowed"
    # It failed, and is left alone until a certain time.
    RESTING = "resting"
    # Somebody said that nothing goes there.
    HELD = "on hold"


@dataclass(frozen=True)
class Reason:
    """Replies of one kind that keep deliveries waiting, and how many they keep."""

    reply: str
    count: int
    # The class of the refusal in words, if it has one.
    why: str = ""


@dataclass
class Backlog:
    """The unfinished deliveries of one destination."""

    destination: str
    states: dict[str, int] = field(default_factory=dict)
    # How many have waited for how long, by BAND_NAMES.
    ages: list[int] = field(default_factory=lambda: [0] * len(BAND_NAMES))
    # In the hands of workers at this moment.
    in_hands: int = 0
    # When the oldest of them was queued, and when the next is due.
    oldest_at: datetime | None = None
    next_attempt_at: datetime | None = None
    standing: Standing = Standing.WELL
    # The destination itself is left alone until then, and why.
    backoff_until: datetime | None = None
    failures: int = 0
    last_failure: str = ""
    last_failure_at: datetime | None = None
    held_by: str = ""
    held_at: datetime | None = None
    reasons: list[Reason] = field(default_factory=list)
    # All counts are of a sample.
    is_rough: bool = False

    @property
    def count(self) -> int:
        """All of them, in whatever state."""
        return sum(self.states.values())

    @property
    def next_try_at(self) -> datetime | None:
        """When the next of them is tried; a rest of the destination counts."""
        if self.next_attempt_at is None or self.standing == Standing.HELD:
            return None
        return max(self.next_attempt_at, self.backoff_until or self.next_attempt_at)


def read_backlog(rows: DeliveryQuerySet | None = None) -> list[Backlog]:
    """Count every destination that has something waiting, the fullest first."""
    rows = Delivery.objects.all() if rows is None else rows
    return _sorted(_told([Sample(rows.filter(state__in=UNFINISHED))]))


def estimate_backlog(rows: DeliveryQuerySet) -> list[Backlog]:
    """The same in a moment: of very many rows, a sample says how many there are.

    Small destinations may be missing then, but not those in trouble. Only of these
    and the fullest more is known than how many wait.
    """
    # What a person stopped is counted however much there is in line.
    queued = sample(rows.filter(state=State.QUEUED))
    stopped = sample(rows.filter(state__in=(State.HELD, State.QUARANTINED)))
    if queued.is_whole and stopped.is_whole:
        return _sorted(_told([queued, stopped]))
    found = _counted([queued, stopped])
    fullest = _sorted(found)[:_MOST_COUNTED]
    few = {backlog.destination for backlog in fullest if backlog.count < _FEW}
    many = {backlog.destination for backlog in fullest} - few
    troubled = Destination.objects.troubled().values_list("name", flat=True)
    few |= set(troubled[:_MOST_COUNTED]) - found.keys()
    found |= _told([queued.to(many), stopped.to(many)])
    unfinished = rows.filter(state__in=UNFINISHED)
    found |= _told([Sample(unfinished.filter(destination__in=few))])
    return _sorted(found)


def _counted(samples: Sequence[Sample]) -> dict[str, Backlog]:
    """How many wait for each destination, and no more."""
    found: dict[str, Backlog] = {}
    for some in samples:
        names = some.rows.order_by().values_list("destination", "state")
        for name, state, count in names.annotate(n=some.count()):
            backlog = found.setdefault(name, Backlog(name, is_rough=True))
            backlog.states[state] = count if some.is_whole else rough(count)
    return found


def _sorted(found: Mapping[str, Backlog]) -> list[Backlog]:
    return sorted(
        found.values(), key=lambda backlog: (-backlog.count, backlog.destination)
    )


def _told(samples: Sequence[Sample]) -> dict[str, Backlog]:
    """Put together what is known of each destination."""
    found: dict[str, Backlog] = {}
    oldest: dict[str, int] = {}
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for row in (row for some in samples for row in _grouped(some)):
        name, state = row["destination"], row["state"]
        backlog = found.setdefault(name, Backlog(name))
        backlog.states[state] = backlog.states.get(state, 0) + row["n"]
        backlog.ages[row["band"]] += row["n"]
        backlog.in_hands += row["hands"]
        backlog.is_rough |= row["is_rough"]
        oldest[name] = min(oldest.get(name, row["oldest"]), row["oldest"])
        if state == State.QUEUED:
            due = backlog.next_attempt_at
            backlog.next_attempt_at = min(due or row["due"], row["due"])
        if row["code"] or row["last"]:
            reasons.setdefault(name, []).append(row)
    for name, some in reasons.items():
        found[name].reasons = _reasons(some)
    for backlog in found.values():
        _round(backlog)
    _date(found, oldest)
    for host in Destination.objects.filter(name__in=found):
        stand(found[host.name], host)
    return found


def _round(backlog: Backlog) -> None:
    if backlog.is_rough:
        states = backlog.states.items()
        backlog.states = {state: rough(count) for state, count in states}
        backlog.ages = list(map(rough, backlog.ages))
        backlog.in_hands = rough(backlog.in_hands)


def stand(backlog: Backlog, host: Destination) -> None:
    """Say how the destination itself is doing."""
    backlog.backoff_until, backlog.failures = host.backoff_until, host.failures
    backlog.last_failure = host.last_failure
    backlog.last_failure_at = host.last_failure_at
    backlog.held_at, backlog.held_by = host.held_at, host.held_by
    if host.held_at:
        backlog.standing, backlog.backoff_until = Standing.HELD, None
    elif host.backoff_until and host.backoff_until > timezone.now():
        backlog.standing = Standing.RESTING
    elif host.failures or host.slowdowns:
        backlog.standing = Standing.SLOWED


def sparingly(name: Hashable, read: Callable[[], T]) -> tuple[T, datetime]:
    """What was read, and when: not again at once if it takes long."""
    kept = _kept.get(name)
    if kept is not None and time.monotonic() < kept[0]:
        return kept[1], kept[2]
    began, at = time.monotonic(), timezone.now()
    value = read()
    now = time.monotonic()
    if (took := now - began) > _CHEAP:
        _kept[name] = (now + _REST * took, value, at)
    return value, at


def forget() -> None:
    """Read afresh: somebody has just changed something, and wants to see it."""
    _kept.clear()


_kept: dict[Hashable, tuple[float, Any, datetime]] = {}


def _grouped(some: Sample) -> Iterator[dict[str, Any]]:
    """One line for each kind of waiting row."""
    hands = Q(lease__isnull=False, next_attempt_at__gt=timezone.now())
    rows = (
        some.rows.order_by()
        .annotate(band=_band())
        .values("destination", "state", "band", "failure", "code", "enhanced")
        .annotate(
            n=some.count(),
            hands=some.count(hands),
            oldest=Min("outgoing_id"),
            due=Min(Greatest("next_attempt_at", "updated_at")),
            last=Max("text"),
            first=Min("text"),
        )
    )
    for row in rows:
        yield {**row, "is_rough": not some.is_whole}


def _band() -> Case:
    """Which of BAND_NAMES: messages are numbered in the order they came.

    So the age of a row is known without a look at its message.
    """
    now = timezone.now()
    whens = []
    for at, age in enumerate(BANDS):
        first = Outgoing.objects.filter(pruned_at=None, created_at__gt=now - age)
        number = first.order_by("created_at").values_list("pk", flat=True).first()
        if number is not None:
            whens.append(When(outgoing_id__gte=number, then=at))
    # A constant alone would be no column to group by.
    whens = whens or [When(outgoing_id=None, then=0)]
    return Case(*whens, default=Value(len(BANDS)), output_field=IntegerField())


def _date(found: Mapping[str, Backlog], oldest: Mapping[str, int]) -> None:
    dates = dict(
        Outgoing.objects.filter(pk__in=set(oldest.values())).values_list(
            "pk", "created_at"
        )
    )
    for name, number in oldest.items():
        found[name].oldest_at = dates.get(number)


def _reasons(rows: list[Mapping[str, Any]]) -> list[Reason]:
    """The commonest kinds of reply; of texts that differ, one stands for all."""
    counts: Counter[tuple[str, int | None, str]] = Counter()
    texts: dict[tuple[str, int | None, str], set[str]] = {}
    for row in rows:
        kind = (row["failure"], row["code"], row["enhanced"])
        counts[kind] += row["n"]
        texts.setdefault(kind, set()).update((row["last"], row["first"]))
    reasons = []
    for kind, count in counts.most_common(MAX_REASONS):
        failure, code, enhanced = kind
        text = max(texts[kind])
        more = " (and the like)" if len(texts[kind]) > 1 else ""
        said = " ".join(filter(None, (str(code or ""), enhanced, text)))
        why = WORDS[Failure(failure)] if failure else ""
        is_rough = any(row["is_rough"] for row in rows)
        reasons.append(Reason(said + more, rough(count) if is_rough else count, why))
    return reasons
