"""How many connections one destination likes at the moment. Pure: the clock comes in.

Each copy it takes allows a part of one more; what it refuses takes them back.
"""

from __future__ import annotations

import math

# A host that refuses one more connection is not asked for more for a while.
_MODEST_SECONDS = 60.0
# So many times in a row that a host asks for less, and it gets a break.
_MOST_SLOWING = 3


class Concurrency:
    """Between one connection and `most`, as the host behaves.

    With asks_first there is no second connection before the first one brought a
    message: there may be nobody, or somebody who takes nothing.
    """

    def __init__(self, first: int, most: int, *, asks_first: bool) -> None:
        self._usual = self.most = most
        self._limit = float(first)
        self._slowing = 0
        self._is_welcome = False
        self._modest_until = math.inf if asks_first else 0.0

    @property
    def limit(self) -> int:
        """How many it may have, a refusal a moment ago apart."""
        return int(self._limit)

    def now(self, open_ones: int, at: float) -> int:
        """How many it may have now that so many are open."""
        return max(1, open_ones) if at < self._modest_until else self.limit

    def allow(self, most: int | None) -> None:
        """An admin says how many it may have; None: nobody does."""
        self.most = self._usual if most is None else most
        self._limit = min(self._limit, self.most)

    def answered(self) -> bool:
        """A message has its answer; True: it was the one to wait for."""
        was_first = math.isinf(self._modest_until)
        if was_first:
            self._modest_until = 0.0
        return was_first

    def took(self) -> bool:
        """A copy was taken; True: the first one, or the first since slowed()."""
        self._slowing = 0
        if self._limit < self.most:
            self._limit = min(self._limit + 1 / self._limit, self.most)
        was_welcome, self._is_welcome = self._is_welcome, True
        return not was_welcome

    def slowed(self) -> bool:
        """The host asks for less: half of them. True: that was not enough."""
        self._is_welcome = False
        self._limit = max(1.0, self._limit / 2)
        self._slowing += 1
        if self._slowing < _MOST_SLOWING:
            return False
        self._slowing = 0
        return True

    def refused(self, open_ones: int, at: float) -> None:
        """The host takes mail over so many, and refused one more."""
        self._modest_until = at + _MODEST_SECONDS
        self._limit = float(min(self.most, max(2, open_ones)))
