"""When to try again, and when to stop. Pure: the clock and the dice come in.

RFC 5321 4.5.4.1 asks for 30 minutes between attempts and days before giving
up, and allows more eagerness at first: most trouble is over in minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smtpd.outbound.results import Outcome, Result

FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(minutes=70)
# A host that is down is asked again much sooner: it costs one connection.
FIRST_BACKOFF = timedelta(seconds=2)
LONGEST_BACKOFF = timedelta(minutes=5)
FIRST_REST = timedelta(seconds=300)
LONGEST_REST = timedelta(seconds=4000)
# One that asks for less gets a break, longer each time.
FIRST_BREAK = timedelta(seconds=30)
LONGEST_BREAK = timedelta(minutes=10)
# Rows are taken in the order of next_attempt_at, and those of a new message get
# one in the past, each a step behind the one before. The first ones of a small
# message so stand before all but the first ones of a large one, and large ones
# share. What was tried before stands where its time is.
HEAD_START = timedelta(minutes=20)
STEP = timedelta(milliseconds=1)
# The same in the fast lane, without a look at who waits there: whoever comes a
# minute later goes before all but sixty rows.
_FAST_STEP = timedelta(seconds=1)
# Claims in a row that nobody finished; no fourth worker tries.
MOST_CLAIMS = 3
_DOUBLINGS = 16
# Later than any worker lives, and what both databases can hold.
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


def next_wait(attempts: int, dice: float) -> timedelta:
    """How long to wait after that many attempts; dice from 0 to 1.

    The dice take up to a quarter off, so that what failed together does not
    come back together.
    """
    wait = FIRST_WAIT * 2.0 ** min(max(attempts, 1) - 1, _DOUBLINGS)
    return min(wait, LONGEST_WAIT) * (1 - dice / 4)


def backoff(failures: int) -> timedelta:
    """How long to leave the relay alone after that many failures in a row."""
    return min(FIRST_BACKOFF * 2.0 ** min(failures, _DOUBLINGS), LONGEST_BACKOFF)


def rest(failures: int, dice: float) -> timedelta:
    """The same for somebody's domain, of which there are thousands.

    The dice take up to a quarter off.
    """
    wait = FIRST_REST * 2.0 ** min(failures, _DOUBLINGS)
    return min(wait, LONGEST_REST) * (1 - dice / 4)


def position(now: datetime, number: int) -> datetime:
    """The position in the fast lane of a new message's rows, counted from 0."""
    return min(now, now - HEAD_START + number * _FAST_STEP)


def pause(slowdowns: int, dice: float) -> timedelta:
    """How long to leave a host in peace that asked for less so many times.

    The dice take up to a quarter off.
    """
    wait = FIRST_BREAK * 2.0 ** min(slowdowns, _DOUBLINGS)
    return min(wait, LONGEST_BREAK) * (1 - dice / 4)


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most so many copies in any period of that length.

    A tenth may go at once, the rest comes evenly.
    """

    most: int
    period: timedelta

    @property
    def burst(self) -> int:
        """How many may go at once after a silence."""
        return max(1, self.most // 10)

    @property
    def step(self) -> timedelta:
        """The time that a copy uses up."""
        return self.period / (self.most - self.burst + 1)

    def take(self, spent: datetime, now: datetime, wanted: int) -> int:
        """How many of those wanted may go now, if time is used up to `spent`."""
        ahead = max(timedelta(0), spent - now)
        # Rounded up: what is used in part is used.
        used = -(-ahead // self.step)
        return max(0, min(wanted, self.burst - used))

    def wait(self, spent: datetime, now: datetime) -> timedelta:
        """How long until the next may go."""
        ahead = max(timedelta(0), spent - now)
        return max(timedelta(0), ahead - (self.burst - 1) * self.step)


def is_poison(claims: int) -> bool:
    """Whether what was claimed so often, and never finished, is tried no more."""
    return claims >= MOST_CLAIMS


def is_final(result: Result, age: timedelta, give_up_days: int) -> bool:
    """Whether a refused copy is given up: refused for good, or too old."""
    too_old = age >= timedelta(days=give_up_days)
    return result.outcome is Outcome.FAILED or (
        result.outcome is Outcome.TRY_LATER and too_old
    )
