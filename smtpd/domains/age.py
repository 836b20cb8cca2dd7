"""How old a key is, as a person says it. Pure."""

from __future__ import annotations

from datetime import datetime

_DAYS_A_MONTH = 30.44
_DAYS_A_YEAR = 365.25
# M3AAWG advises half a year; whoever does it by hand is reminded after a whole.
OLD_DAYS = 365


def age(made_at: datetime, now: datetime) -> str:
    """`14 months old`, or `made today`."""
    days = (now - made_at).days
    if days < 1:
        return "made today"
    if days < 2 * _DAYS_A_MONTH:
        return f"{days} day{'' if days == 1 else 's'} old"
    if days < 2 * _DAYS_A_YEAR:
        return f"{int(days / _DAYS_A_MONTH)} months old"
    return f"{int(days / _DAYS_A_YEAR)} years old"


def is_old(made_at: datetime, now: datetime) -> bool:
    """Whether it is time for a new one."""
    return (now - made_at).days >= OLD_DAYS
