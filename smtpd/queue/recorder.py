"""Rows in our hands: from their claim to the record of what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError

from smtpd.queue import ledger
from smtpd.queue.ledger import BATCH, Change, Claimed
from smtpd.queue.outcomes import record
from smtpd.queue.threads import leave_database, safely

logger = logging.getLogger(__name__)

# How long results are worth keeping for a database that is down.
_RECORD_WITHIN = 1200.0
# How long results wait for company before they are recorded.
_GATHER = 0.02


class Recorder:
    """Belongs to one event loop; has two threads with a database connection each."""

    def __init__(
        self,
        has_recorded: Callable[[], None],
        have_failed: Callable[[Sequence[int]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, "record")
        # Results that wait for the database end no lease.
        self._renewer = ThreadPoolExecutor(1, "renew")
        self._has_recorded, self._have_failed = has_recorded, have_failed
        self._changes: list[Change] = []
        # Rows claimed and not recorded yet, by their lease and destination.
        self._leases: Counter[int] = Counter()
        self._held: Counter[str] = Counter()
        self._is_ending = False
        self._has_changes = asyncio.Event()
        self._recording = self._loop.create_task(self._record_forever())
        self._renewing = self._loop.create_task(self._renew_forever())

    @property
    def in_hand(self) -> int:
        """Rows of all destinations."""
        return self._leases.total()

    @property
    def unrecorded(self) -> int:
        """Results that wait for the database."""
        return len(self._changes)

    def held(self, destination: str) -> int:
        """Rows of one destination."""
        return self._held[destination]

    def take(self, rows: Sequence[Claimed]) -> None:
        """These are ours now: their leases are kept alive."""
        self._leases.update(row.lease for row in rows)
        self._held.update(row.destination for row in rows)

    def put(self, change: Change) -> None:
        """What became of one of them; first what a dead worker had (`lanes.py`)."""
        if change.row.claims > 1:
            self._changes.insert(0, change)
        else:
            self._changes.append(change)
        self._has_changes.set()

    def run(self, action: Callable[..., object], *args: object) -> None:
        """Another statement, in its turn; nobody waits for it."""
        self._loop.run_in_executor(self._pool, _try, action, *args)

    async def end(self, grace: float) -> None:
        """Record what is known, let go of the rest."""
        self._is_ending = True
        if self.in_hand:
            await asyncio.wait({self._recording}, timeout=grace)
        self._recording.cancel()
        self._renewing.cancel()
        await asyncio.wait({self._recording, self._renewing})

    def close(self) -> None:
        """Behind end(), from outside the loop."""
        for pool in (self._pool, self._renewer):
            pool.submit(leave_database)
            pool.shutdown()

    async def _record_forever(self) -> None:
        while not (self._is_ending and not self.in_hand):
            await self._has_changes.wait()
            if len(self._changes) < BATCH and len(self._changes) < self.in_hand:
                await asyncio.sleep(_GATHER)
            batch, self._changes = self._changes[:BATCH], self._changes[BATCH:]
            if not self._changes:
                self._has_changes.clear()
            await self._record(batch)
            self._leases -= Counter(change.row.lease for change in batch)
            self._held -= Counter(change.row.destination for change in batch)
            self._has_recorded()

    async def _record(self, batch: Sequence[Change]) -> None:
        """Until it is recorded or worth nothing: the database may be down.

        What the database will not have, one by one, is let go of: its lease runs
        out, and the others are not kept waiting.
        """
        until = self._loop.time() + _RECORD_WITHIN
        while batch and self._loop.time() < until:
            try:
                failed = await self._loop.run_in_executor(
                    self._pool, safely, record, batch
                )
            except (OperationalError, InterfaceError) as error:
                logger.warning("record state=failed reason=%s", error)
                await asyncio.sleep(1)
            except Exception:
                if len(batch) == 1:
                    logger.exception("delivery=%s state=unrecorded", batch[0].row.id)
                    return
                for change in batch:
                    await self._record([change])
                return
            else:
                self._have_failed(failed)
                return

    async def _renew_forever(self) -> None:
        """Show that we live: else our rows are due again for others."""
        while True:
            await asyncio.sleep(ledger.LEASE.total_seconds() / 4)
            if not self._leases:
                continue
            ours = (tuple(self._held), tuple(self._leases))
            try:
                await self._loop.run_in_executor(
                    self._renewer, safely, ledger.renew, *ours
                )
            except (OperationalError, InterfaceError) as error:
                logger.warning("renew state=failed reason=%s", error)
            except Exception:
                logger.exception("renew state=broken")


def _try(action: Callable[..., object], *args: object) -> None:
    """Say so where it fails."""
    try:
        safely(action, *args)
    except Exception as error:  # noqa: BLE001 - a log line is all it may cost
        logger.warning("statement=%s state=failed reason=%s", action.__name__, error)
