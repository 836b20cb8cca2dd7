"""What a failure counts, and when it is time to stop sending. Pure.

A hard bounce is two half points, a soft one is one; at most one bounce a day
counts, and after a week without any the address has proven itself.
"""

from __future__ import annotations

from datetime import date, timedelta

from smtpd.outbound.failures import Effect, Failure, effect

HARD = "hard"
SOFT = "soft"
POLICY = "policy"

# Half points.
POINTS = {HARD: 2, SOFT: 1}
STALE = timedelta(days=7)
_KINDS = {Effect.HARD: HARD, Effect.SOFT: SOFT, Effect.NONE: POLICY}


def kind(
    failure: Failure, code: int | None, enhanced: str, *, is_relays: bool = False
) -> str:
    """Return HARD, SOFT or POLICY: nothing against the member.

    What became of a relay of ours says nothing about anybody behind it.
    """
    if is_relays and failure is Failure.NETWORK:
        return POLICY
    return _KINDS[effect(failure, code, enhanced)]


def count(
    score: int, last: date | None, kind: str, day: date
) -> tuple[int, date | None]:
    """Return the new score and the day it was last raised.

    Once a day at most, from zero again after a week of silence; what is not
    the member's fault changes nothing. A day in the past, decided about late,
    counts too.
    """
    points = POINTS.get(kind, 0)
    if not points or last == day:
        return score, last
    if last is not None and day - last > STALE:
        score = 0
    return score + points, max(last or day, day)
