"""Who is told of copies that failed for good, and that no result waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from smtpd.queue.ledger import BATCH
from smtpd.queue.threads import leave_database
from smtpd.routing import doors

logger = logging.getLogger(__name__)
_GRACE = 2.0


def tell(failed: Sequence[int]) -> None:
    """Tell the apps. A sweep tells them again of what one of them does not know."""
    for name, door in doors().items():
        try:
            door.failed(failed)
        except Exception:
            logger.exception("door=%s state=broken deliveries=%s", name, failed)


class Teller:
    """Belongs to one event loop; its database connection lasts while somebody waits.

    A report takes as long as a message does, and a list locks its members. Results
    that wait behind that go out twice when the process is killed; who has not been
    told when it ends is found by the sweeps.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, "tell")
        self._untold: list[int] = []
        self._has_untold, self._has_told = asyncio.Event(), asyncio.Event()
        self._has_told.set()
        self._telling = self._loop.create_task(self._tell_forever())

    def put(self, failed: Sequence[int]) -> None:
        """These have failed, and it is recorded."""
        if failed:
            self._untold.extend(failed)
            self._has_told.clear()
            self._has_untold.set()

    async def told(self) -> None:
        """Wait until nobody is left."""
        await self._has_told.wait()

    async def end(self) -> None:
        """Wait for a moment, and leave the rest to the sweeps."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self.told()
        self._telling.cancel()
        await asyncio.wait({self._telling})

    def close(self) -> None:
        """Behind end(), from outside the loop."""
        self._pool.submit(leave_database)
        self._pool.shutdown()

    async def _tell_forever(self) -> None:
        while True:
            await self._has_untold.wait()
            some, self._untold = self._untold[:BATCH], self._untold[BATCH:]
            try:
                await self._loop.run_in_executor(self._pool, _tell_and_leave, some)
            except Exception:
                logger.exception("deliveries=%s state=untold", some)
            if not self._untold:
                self._has_untold.clear()
                self._has_told.set()


def _tell_and_leave(failed: Sequence[int]) -> None:
    """Failures are rare: a connection that is kept for them is one too many."""
    try:
        tell(failed)
    finally:
        leave_database()
