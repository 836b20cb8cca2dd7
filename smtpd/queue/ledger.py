"""The statements that move rows of the ledger; a worker uses nothing else.

One statement claims up to 50 rows, one records up to 50 results, and only
the holder of a row's lease may do so: a worker that was away too long
changes nothing. No transaction is open while bytes are on the way.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Case, F, Q, When
from django.utils import timezone

from smtpd.models import Delivery, Destination, Outgoing
from smtpd.outbound.relay import RELAY
from smtpd.queue.rota import Turn
from smtpd.queue.schedule import backoff, pause, rest

# How long a row stays with a worker that has stopped renewing: it died.
LEASE = timedelta(seconds=settings.LEASE_SECONDS)
BATCH = 50

# Whose lease it is when it is nobody's.
NOBODY = 0
# Rows that a dead worker had are looked at again so soon.
AGAIN = timedelta(milliseconds=200)

# When a further try is long due, and how far forward it is brought.
_LONG_DUE = timedelta(minutes=10)
_LEAP = timedelta(days=1)

State = Delivery.State


class Claimed(NamedTuple):
    """One row in our hands; or in nobody's, when a dead worker had it."""

    id: int
    outgoing_id: int
    address: str
    ref: int | None
    destination: str
    lane: int
    attempts: int
    # This claim is one of them, if it is one.
    claims: int
    lease: int

    @property
    def is_ours(self) -> bool:
        """Whether this process may send it."""
        return self.lease != NOBODY


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one claimed row."""

    row: Claimed
    state: str
    # When it is due again, if it is still queued; None: now, with the first.
    due_at: datetime | None = None
    is_ambiguous: bool = False
    # An attempt in which nothing was sent does not count.
    is_attempt: bool = True
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    host: str = ""
    failure: str = ""
    # The sender has to be told that it was passed on (RFC 3461 5.2.2).
    owes_report: bool = False


# No ORDER BY id: rows frozen together are due together, and the index gives
# them in their order anyway.
_DUE = """
SELECT id FROM (
SELECT id FROM smtpd_delivery
WHERE destination = %s AND state = 'queued' AND lane <= %s
  AND next_attempt_at <= %s
  AND NOT EXISTS (
    SELECT 1 FROM smtpd_destination AS host
    WHERE host.name = %s AND host.backoff_until > %s)
ORDER BY lane, next_attempt_at LIMIT %s {lock}) AS due
"""
# A row that was claimed before and not finished is what a worker had that died. It
# is only looked at: while nobody tries it, no further death counts against it.
_CLAIM = """
UPDATE smtpd_delivery SET
  attempts = attempts + CASE WHEN claims > 0 THEN 0 ELSE 1 END,
  lease = CASE WHEN claims > 0 THEN NULL ELSE %s END,
  next_attempt_at = CASE WHEN claims > 0 THEN %s ELSE %s END,
  claims = CASE WHEN claims > 0 THEN claims ELSE 1 END,
  updated_at = %s
WHERE id {among}
RETURNING id, outgoing_id, address, ref, destination, lane, attempts, claims,
  COALESCE(lease, 0)
"""
# The `|| ''` keeps the index on what is due out of it: a planner that has not
# seen the table grow would walk all of it instead of asking for each id.
_RECORD = """
WITH new (
  id, lease, state, due_at, unused, ambiguous, code, enhanced, text, host,
  failure
) AS ({rows})
UPDATE smtpd_delivery SET
  state = new.state,
  next_attempt_at = CASE
    WHEN new.due_at IS NOT NULL THEN new.due_at
    WHEN new.state <> 'queued' THEN smtpd_delivery.next_attempt_at
    ELSE COALESCE((
      SELECT MIN(first.next_attempt_at) FROM smtpd_delivery AS first
      WHERE first.destination = smtpd_delivery.destination
        AND first.lane = smtpd_delivery.lane AND first.state = 'queued'
        AND first.next_attempt_at <= %s), %s) END,
  attempts = smtpd_delivery.attempts - new.unused,
  ambiguous = smtpd_delivery.ambiguous + new.ambiguous,
  claims = 0, lease = NULL, code = new.code, enhanced = new.enhanced,
  text = new.text, host = new.host, failure = new.failure, updated_at = %s
FROM new
WHERE smtpd_delivery.id = new.id AND smtpd_delivery.lease = new.lease
  AND smtpd_delivery.state || '' = 'queued'
RETURNING smtpd_delivery.id
"""
# The index on what is due finds them: a leased row is due when its lease ends.
_RENEW = """
UPDATE smtpd_delivery SET next_attempt_at = %s
WHERE destination IN ({names}) AND lane IN (0, 1) AND state = 'queued'
  AND next_attempt_at <= %s AND lease IN ({leases})
"""
_ARRAYS = (
    "SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[],"
    " %s::timestamptz[], %s::int[], %s::int[], %s::int[], %s::text[], %s::text[],"
    " %s::text[], %s::text[])"
)
_ROW = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def claim(turns: Sequence[Turn], most: int = BATCH) -> list[Claimed]:
    """Take due rows, each destination in its turn, so that nobody else does.

    Of one destination at most what its turn allows, the fast ones first. What a dead
    worker had is returned as nobody's, and left alone for AGAIN: `deaths.take()`.
    """
    is_postgres = connection.vendor == "postgresql"
    due = _DUE.format(lock="FOR UPDATE SKIP LOCKED" if is_postgres else "")
    due = f"{' UNION ALL '.join([due] * len(turns))} LIMIT %s"
    among = f"= ANY(ARRAY({due}))" if is_postgres else f"IN ({due})"
    now = timezone.now()
    at, until = _adapt(now), _adapt(now + LEASE)
    params: list[Any] = [new_lease(), _adapt(now + AGAIN), until, at]
    for turn in turns:
        name = turn.destination
        params += [name, turn.lane, at, name, at, turn.limit]
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM.format(among=among), [*params, most])
        rows = [Claimed(*row) for row in cursor.fetchall()]
    return sorted(rows, key=attrgetter("lane", "outgoing_id", "destination", "id"))


def new_lease() -> int:
    """A number that nobody has had."""
    return secrets.randbits(62) + 1


def bring_forward() -> int:
    """Put further tries that are long due before all others; return how many.

    Their position is when they were due: behind all of a large message that was
    frozen before.
    """
    now = timezone.now()
    late = Delivery.objects.waiting().filter(
        lane=Outgoing.Lane.BULK,
        attempts__gt=0,
        next_attempt_at__range=(now - _LEAP, now - _LONG_DUE),
    )
    return late.order_by().update(next_attempt_at=F("next_attempt_at") - _LEAP)


def renew(destinations: Collection[str], leases: Collection[int]) -> None:
    """Keep rows in hand for another LEASE; a lease that is lost stays lost."""
    until = _adapt(timezone.now() + LEASE)
    statement = _RENEW.format(names=_marks(destinations), leases=_marks(leases))
    with connection.cursor() as cursor:
        cursor.execute(statement, [until, *destinations, until, *leases])


def _marks(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def record(changes: Sequence[Change]) -> set[int]:
    """Write results; return the ids of the rows that were still ours."""
    values = list(map(_values, changes))
    params: list[Any]
    if connection.vendor == "postgresql":
        rows = _ARRAYS
        params = [list(column) for column in zip(*values, strict=True)]
    else:
        rows = f"VALUES {', '.join([_ROW] * len(values))}"
        params = [value for row in values for value in row]
    with connection.cursor() as cursor:
        now = _adapt(timezone.now())
        cursor.execute(_RECORD.format(rows=rows), [*params, now, now, now])
        return {row[0] for row in cursor.fetchall()}


def _values(change: Change) -> tuple[Any, ...]:
    return (
        change.row.id,
        change.row.lease,
        change.state,
        _adapt(change.due_at),
        0 if change.is_attempt else 1,
        1 if change.is_ambiguous else 0,
        change.code,
        change.enhanced,
        change.text,
        change.host,
        change.failure,
    )


def _adapt(moment: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def host_failed(
    destination: str, reason: str, stage: str = "", code: int | None = None
) -> datetime:
    """Leave a host alone for a while; workers that fail together count once."""
    now = timezone.now()
    host, _ = Destination.objects.get_or_create(name=destination)
    dice = random.random()  # noqa: S311 - jitter
    is_relay = destination == RELAY
    wait = backoff(host.failures) if is_relay else rest(host.failures, dice)
    until = now + wait
    free = Q(backoff_until=None) | Q(backoff_until__lte=now)
    Destination.objects.filter(free, pk=host.pk).update(
        backoff_until=until,
        failures=F("failures") + 1,
        last_failure_at=now,
        last_failure=reason[:500],
        stage=stage,
        code=code,
    )
    return until


def host_slowed(
    destination: str, reason: str, stage: str = "", code: int | None = None
) -> None:
    """Give a break to a host that asks for less; once, whoever is asked."""
    now = timezone.now()
    host, _ = Destination.objects.get_or_create(name=destination)
    wait = pause(host.slowdowns, random.random())  # noqa: S311 - jitter
    free = Q(backoff_until=None) | Q(backoff_until__lte=now)
    Destination.objects.filter(free, pk=host.pk).update(
        backoff_until=now + wait,
        slowdowns=F("slowdowns") + 1,
        last_failure_at=now,
        last_failure=reason[:500],
        stage=stage,
        code=code,
    )


def host_took(destination: str) -> None:
    """It took a copy behind its break."""
    Destination.objects.filter(
        name=destination, slowdowns__gt=0, backoff_until__lte=timezone.now()
    ).update(slowdowns=0, backoff_until=None)


def host_answered(destination: str) -> None:
    """It is well again; a break that it asked for, or a person's hold, goes on."""
    is_over = When(held_at=None, slowdowns=0, then=None)
    Destination.objects.filter(name=destination, failures__gt=0).update(
        failures=0, backoff_until=Case(is_over, default=F("backoff_until"))
    )
