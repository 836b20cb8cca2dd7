"""How many connections of this process may work at once, whoever they go to."""

from __future__ import annotations

import asyncio

# Messages on one connection before others that wait get its place.
MESSAGES_A_TURN = 20


class Places:
    """Asked for in the order of coming, so no destination pushes in.

    Fast jobs have places of their own: a hundred slow servers do not keep a
    confirmation waiting. Idle connections need none, but are fewer still.
    """

    def __init__(self, most: int, *, all_rest: bool = False) -> None:
        # Whose server is ours may keep all of them open.
        self._may_rest = most if all_rest else max(4, most) // 4
        self._all = asyncio.Semaphore(most)
        self._express = asyncio.Semaphore(max(1, most // 4))
        self._idle = 0

    def place(self, *, express: bool) -> asyncio.Semaphore:
        """To be held while a connection opens or works."""
        return self._express if express else self._all

    def is_wanted(self, *, express: bool) -> bool:
        """Whether all are taken: somebody may wait for one."""
        return self.place(express=express).locked()

    def may_rest(self) -> bool:
        """Whether one more connection may stay open without work."""
        return self._idle < self._may_rest

    def rest(self, change: int) -> None:
        """One more connection has no work, or one less."""
        self._idle += change
