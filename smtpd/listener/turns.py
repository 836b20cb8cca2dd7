"""Much input is worked off in turns, so that a command never waits behind it."""

from __future__ import annotations

import asyncio


class Turns:
    """Belongs to one event loop.

    Each round of the loop serves every client that has sent something. With a
    hundred large messages on their way a round would take a hundred pieces,
    and somebody else's command one round for each step of its answer.
    """

    # Less than this costs no more than waiting for a turn.
    MUCH = 16_384

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def wait(self, octets: int) -> None:
        """Wait until it is the caller's turn to work off so many octets."""
        if octets < self.MUCH:
            return
        async with self._free:
            # The others of this round.
            await asyncio.sleep(0)
