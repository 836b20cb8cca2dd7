"""Whose turn it is among the destinations that have mail due.

All stand in a circle. A claim takes a few rows of each in turn, so whoever
has a hundred thousand goes on as fast as he can and keeps nobody waiting.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from smtpd.models import Outgoing

FAST, BULK = Outgoing.Lane.FAST, Outgoing.Lane.BULK
# Rows one destination gets in a claim when others wait beside it.
_SHARE = 10
# Destinations of one claim.
_MOST = 50


@dataclass(frozen=True, slots=True)
class Turn:
    """What one claim may take of one destination."""

    destination: str
    # The last lane it may take; the lanes before it come first.
    lane: int
    limit: int


class Rota:
    """The circle, and those in front of it that somebody waits for."""

    def __init__(self) -> None:
        self._circle: OrderedDict[str, None] = OrderedDict()
        self._fast: OrderedDict[str, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._circle or self._fast)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._fast, *self._circle)))

    def add(self, names: Iterable[str]) -> None:
        """Those with something due go to the end, unless they are there."""
        for name in names:
            self._circle.setdefault(name)

    def hurry(self, names: Iterable[str]) -> None:
        """These have rows in the fast lane."""
        for name in names:
            self._fast.setdefault(name)

    def drop(self, name: str) -> None:
        """It takes nothing now."""
        self._circle.pop(name, None)
        self._fast.pop(name, None)

    def turns(self, room: Callable[[str], int], batch: int) -> list[Turn]:
        """Who may have how much of a claim of that size."""
        rooms = {name: room(name) for name in self}
        chosen = [name for name in self if rooms[name] > 0 or name in self._fast]
        share = max(_SHARE, batch // max(1, len(chosen)))
        return [
            Turn(name, BULK, min(rooms[name], share))
            if rooms[name] > 0
            else Turn(name, FAST, share)
            for name in chosen[:_MOST]
        ]

    def served(self, turns: Sequence[Turn], got: Counter[str], batch: int) -> None:
        """What a claim gave. Who got all he might goes to the end of the circle;
        who got less has no more; who was not reached keeps his place.
        """
        names = [turn.destination for turn in turns]
        last = len(names) - 1
        if is_full := got.total() >= batch:
            last = max(at for at, name in enumerate(names) if got[name])
        for at, turn in enumerate(turns[: last + 1]):
            is_cut = is_full and at == last
            self._serve(turn, has_more=is_cut or got[turn.destination] >= turn.limit)

    def _serve(self, turn: Turn, *, has_more: bool) -> None:
        name = turn.destination
        if turn.lane == BULK or not has_more:
            self._fast.pop(name, None)
        if turn.lane == BULK:
            self._circle.pop(name, None)
            if has_more:
                self._circle[name] = None
