"""When to try again, and when to stop. Pure: the clock and the dice come in.

RFC 5321 4.5.4.1 asks for 30 minutes between attempts and days before giving
up, and allows more eagerness at first: most trouble is over in minutes.
"""

from __future__ import annotations

from datetime import timedelta

from smtpd.outbound.results import Outcome, Result

FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(minutes=70)
# A host that is down is asked again much sooner: it costs one connection.
FIRST_BACKOFF = timedelta(seconds=2)
LONGEST_BACKOFF = timedelta(minutes=5)
FIRST_REST = timedelta(seconds=300)
LONGEST_REST = timedelta(seconds=4000)
# Claims in a row that nobody finished: the fourth worker does not try.
MOST_CLAIMS = 3
_DOUBLINGS = 16


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


def is_poison(claims: int) -> bool:
    """Whether this claim, counted already, is one too many."""
    return claims > MOST_CLAIMS


def is_final(result: Result, age: timedelta, give_up_days: int) -> bool:
    """Whether a refused copy is given up: refused for good, or too old."""
    too_old = age >= timedelta(days=give_up_days)
    return result.outcome is Outcome.FAILED or (
        result.outcome is Outcome.TRY_LATER and too_old
    )
