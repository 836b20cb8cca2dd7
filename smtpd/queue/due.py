"""Which destinations have mail due, without a look at every row of it.

The index on what waits is walked from one destination to the next, a few
probes each, however many rows a destination has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from smtpd.models import Outgoing
from smtpd.outbound.relay import RELAY, is_direct
from smtpd.queue.ledger import BATCH

# Destinations one statement walks over.
WALK = 500
_MOST_FAST = 50

# The last two of each row: it failed lately, and it is a domain of ours.
_FAST = """
WITH found (name) AS (
  SELECT DISTINCT destination FROM smtpd_delivery
  WHERE state = 'queued' AND lane = 0 AND next_attempt_at <= %s
    AND destination NOT IN (
      SELECT name FROM smtpd_destination WHERE backoff_until > %s)
  LIMIT %s)
SELECT found.name, 1, COALESCE(host.failures, 0) > 0, ours.id IS NOT NULL
FROM found
LEFT JOIN smtpd_destination AS host ON host.name = found.name
LEFT JOIN smtpd_domain AS ours ON ours.name = found.name
"""
_NEXT = """
SELECT destination FROM smtpd_delivery
WHERE state = 'queued' AND destination > {behind}
ORDER BY destination LIMIT 1
"""
_WALK = f"""
WITH RECURSIVE walk (name, step) AS (
  SELECT ({_NEXT.format(behind="%s")}), 1
  UNION ALL
  SELECT ({_NEXT.format(behind="walk.name")}), step + 1
  FROM walk WHERE walk.name IS NOT NULL AND step < %s)
SELECT walk.name,
  (host.backoff_until IS NULL OR host.backoff_until <= %s)
  AND EXISTS (
    SELECT 1 FROM smtpd_delivery AS waiting
    WHERE waiting.destination = walk.name AND waiting.state = 'queued'
      AND waiting.lane IN (0, 1) AND waiting.next_attempt_at <= %s),
  COALESCE(host.failures, 0) > 0, ours.id IS NOT NULL
FROM walk
LEFT JOIN smtpd_destination AS host ON host.name = walk.name
LEFT JOIN smtpd_domain AS ours ON ours.name = walk.name
WHERE walk.name IS NOT NULL ORDER BY walk.step
"""  # noqa: S608 - constants only

_LONG = """
SELECT id FROM smtpd_delivery
WHERE destination = %s AND state = 'queued' AND next_attempt_at <= %s
ORDER BY lane, next_attempt_at LIMIT 1 OFFSET %s
"""

# Since when the first one in each line could be sent: its position may be earlier.
_FIRST = """
(SELECT {greatest}(first.next_attempt_at, first.updated_at)
 FROM smtpd_delivery AS first
 WHERE first.destination = walk.name AND first.state = 'queued'
   AND first.lane = {lane} AND first.next_attempt_at <= %s
 ORDER BY first.next_attempt_at LIMIT 1)
"""
_OLDEST = f"""
WITH RECURSIVE walk (name) AS (
  SELECT ({_NEXT.format(behind="''")})
  UNION ALL
  SELECT ({_NEXT.format(behind="walk.name")})
  FROM walk WHERE walk.name IS NOT NULL)
SELECT MIN({{fast}}), MIN({{bulk}}) FROM walk WHERE walk.name IS NOT NULL
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class Waiting:
    """A destination that has mail queued."""

    name: str
    # Something can be sent now: a row is due, and the host is not left alone.
    is_due: bool
    has_failed: bool = False
    # The recipients are addresses of this site.
    is_ours: bool = False


def fast() -> list[Waiting]:
    """Destinations that somebody waits for."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return _rows(_FAST, [now, now, _MOST_FAST])


def walk(behind: str = "", most: int = WALK) -> list[Waiting]:
    """The next destinations in order of name; fewer than `most`: the last ones."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return _rows(_WALK, [behind, most, now, now])


def everything() -> list[Waiting]:
    """All of them."""
    found = page = walk()
    while len(page) == WALK:
        page = walk(page[-1].name)
        found += page
    return found


def oldest() -> datetime | None:
    """Since when that waits which waits longest; None: nothing is due."""
    greatest = "GREATEST" if connection.vendor == "postgresql" else "MAX"
    lanes = {
        name.lower(): _FIRST.format(greatest=greatest, lane=int(Outgoing.Lane[name]))
        for name in ("FAST", "BULK")
    }
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST.format(**lanes), [now, now])
        row = cursor.fetchone()
    found = [_moment(value) for value in row if value is not None]
    return min(found, default=None)


def _moment(value: datetime | str) -> datetime:
    """SQLite gives the text it keeps."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def is_crowded() -> bool:
    """Whether more is due than one process should do alone."""
    names = [RELAY]
    if is_direct():
        names = [host.name for host in walk() if host.is_due]
    return len(names) > 1 or any(map(_is_long, names))


def _is_long(name: str) -> bool:
    """Whether a destination has more rows due than one claim takes."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_LONG, [name, now, BATCH])
        return cursor.fetchone() is not None


def _rows(statement: str, params: list[Any]) -> list[Waiting]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [Waiting(name, *map(bool, facts)) for name, *facts in cursor.fetchall()]
