"""Claim, send, record: what a worker process does with the ledger.

The event loop runs in a thread of its own and outlives the task that woke it,
so a server that takes ten minutes to answer holds up nobody else. Claiming
(with rendering and signing) and recording have a thread and a database
connection each; all three overlap.

A row is in our hands from the claim to the record. What was sent and not yet
recorded, a batch or two, goes out twice when the process is killed.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from smtpd.models import Delivery, Outgoing
from smtpd.outbound import relay
from smtpd.outbound.results import Outcome, Result
from smtpd.outbound.wire import Timeouts
from smtpd.queue import ledger, schedule
from smtpd.queue.copies import Copies, Job, Refused
from smtpd.queue.ledger import BATCH, Change, Claimed
from smtpd.queue.outcomes import changed, record
from smtpd.queue.senders import Ears, Senders

logger = logging.getLogger(__name__)
T = TypeVar("T")
State = Delivery.State

# How long a task works before others get their turn.
SLICE = 2.0
# A claimed row that was not begun by then is given back: others may be faster.
START_WITHIN = 120.0
# How long results are worth keeping for a database that is down.
_RECORD_WITHIN = 1200.0
# Fewer waiting jobs than this: claim more, so that no connection runs dry.
_LOW = BATCH // 2
# More than this in hand: the database is slower than the next server.
_MOST_IN_HAND = 4 * BATCH
# How often to look for fast rows while a slow host keeps all hands busy.
_GLANCE = 0.5
# How long results wait for company before they are recorded.
_GATHER = 0.02
_GRACE = 20.0


class Worker:
    """Everything one process needs to send to one destination."""

    def __init__(
        self,
        destination: str,
        hop: relay.Hop,
        connections: int,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.destination = destination
        self._copies = Copies()
        self._claimer = ThreadPoolExecutor(1, "claim")
        self._recorder = ThreadPoolExecutor(1, "record")
        self._changes: list[Change] = []
        # Rows claimed and not recorded yet, by their lease.
        self._leases: Counter[int] = Counter()
        self._is_ending = False
        self._is_well = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="send", daemon=True
        )
        self._thread.start()
        self._call(self._begin(hop, connections, timeouts))

    async def _begin(
        self, hop: relay.Hop, connections: int, timeouts: Timeouts | None
    ) -> None:
        ears = Ears(self._done, self._unsent, self._trouble, self._answered)
        self._senders = Senders(hop, connections, ears, timeouts)
        self._has_changes = asyncio.Event()
        self._progress = asyncio.Event()
        self._recording = self._loop.create_task(self._record_forever())
        self._renewing = self._loop.create_task(self._renew_forever())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def serve(self, seconds: float = SLICE) -> bool:
        """Send what is due; False when nothing is left, True when time is up."""
        return self._call(self._serve(seconds))

    def stop(self, grace: float = _GRACE) -> None:
        """Finish what is under way, give the rest back, close everything."""
        self._call(self._end(grace))
        for pool in (self._claimer, self._recorder):
            pool.submit(_leave_database)
            pool.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, seconds: float) -> bool:
        until, may_be_more = self._loop.time() + seconds, True
        while self._loop.time() < until and not self._is_ending:
            has_room = self._has_room
            lane = Outgoing.Lane.BULK if has_room else Outgoing.Lane.FAST
            count = await self._claim(lane)
            if not count and not self._in_hand:
                return False
            if has_room:
                may_be_more = count == BATCH
            await self._wait(until_room=may_be_more)
        return True

    @property
    def _in_hand(self) -> int:
        return self._leases.total()

    @property
    def _has_room(self) -> bool:
        """Few jobs wait for a connection, and few results for the database."""
        return self._senders.waiting <= _LOW and self._in_hand <= _MOST_IN_HAND

    async def _wait(self, *, until_room: bool) -> None:
        """Until there is room, or nothing left in hand, but not for long."""
        deadline = self._loop.time() + _GLANCE
        while self._in_hand and not (until_room and self._has_room):
            self._progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
            except TimeoutError:
                return

    async def _claim(self, lane: int) -> int:
        """Take due rows and put them to work; return how many there were."""
        run = self._loop.run_in_executor
        try:
            rows, jobs = await run(self._claimer, _safely, self._take, lane)
        except (OperationalError, InterfaceError) as error:
            logger.warning("claim=%s state=failed reason=%s", self.destination, error)
            await asyncio.sleep(_GLANCE)
            return 0
        self._leases.update(row.lease for row in rows)
        start_before = self._loop.time() + START_WITHIN
        ready: list[Job] = []
        for job in jobs:
            if isinstance(job, Refused):
                self._quarantine(job)
            else:
                job.start_before = start_before
                ready.append(job)
        if ready:
            await self._senders.put(ready)
        return len(rows)

    def _take(self, lane: int) -> tuple[list[Claimed], list[Job | Refused]]:
        """In the claimer's thread: claim, render, sign."""
        rows = ledger.claim(self.destination, lane, BATCH)
        good = [row for row in rows if not schedule.is_poison(row.claims)]
        jobs = list(self._copies.jobs(good))
        poison = [row for row in rows if schedule.is_poison(row.claims)]
        if poison:
            jobs.append(Refused(poison, "workers took it and none came back"))
        return rows, jobs

    # --- what the senders tell, in the thread of the loop

    def _done(self, job: Job) -> None:
        for row, result in zip(job.rows, job.results, strict=True):
            assert result is not None
            self._change(changed(row, result, job.queued_at))

    def _unsent(self, jobs: list[Job]) -> None:
        now = timezone.now()
        for job in jobs:
            for row in job.rows:
                self._change(Change(row, State.QUEUED, now, is_attempt=False))

    def _trouble(self, reason: str, jobs: list[Job]) -> None:
        """The host's failure, not theirs; but too old is too old."""
        logger.error("host=%s state=refusing reason=%s", self.destination, reason)
        self._is_well = False
        run = self._loop.run_in_executor
        run(self._recorder, _safely, ledger.host_failed, self.destination, reason)
        result = Result(Outcome.TRY_LATER, text=reason, host=self.destination)
        for job in jobs:
            for row in job.rows:
                change = changed(row, result, job.queued_at, is_attempt=False)
                self._change(change)

    def _answered(self) -> None:
        run = self._loop.run_in_executor
        run(self._recorder, _safely, ledger.host_answered, self.destination)

    def _quarantine(self, refused: Refused) -> None:
        for row in refused.rows:
            logger.error("delivery=%s state=quarantined %s", row.id, refused.reason)
            self._change(
                Change(
                    row, State.QUARANTINED, is_attempt=False, text=refused.reason[:500]
                )
            )

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        self._has_changes.set()
        if self._senders.waiting <= _LOW:
            self._progress.set()

    # --- recording

    async def _record_forever(self) -> None:
        while not (self._is_ending and not self._in_hand):
            await self._has_changes.wait()
            if len(self._changes) < BATCH and len(self._changes) < self._in_hand:
                await asyncio.sleep(_GATHER)
            batch, self._changes = self._changes[:BATCH], self._changes[BATCH:]
            if not self._changes:
                self._has_changes.clear()
            await self._record(batch)
            self._leases -= Counter(change.row.lease for change in batch)
            self._progress.set()

    async def _record(self, batch: Sequence[Change]) -> None:
        """Until it is recorded or worth nothing: the database may be down."""
        until = self._loop.time() + _RECORD_WITHIN
        run = self._loop.run_in_executor
        while batch and self._loop.time() < until:
            try:
                await run(self._recorder, _safely, record, batch)
            except (OperationalError, InterfaceError) as error:
                logger.warning(
                    "record=%s state=failed reason=%s", self.destination, error
                )
                await asyncio.sleep(1)
            else:
                return

    async def _renew_forever(self) -> None:
        """Show that we live: else our rows are due again for others."""
        run = self._loop.run_in_executor
        while True:
            await asyncio.sleep(ledger.LEASE.total_seconds() / 4)
            if not self._leases:
                continue
            leases = (self.destination, tuple(self._leases))
            try:
                await run(self._recorder, _safely, ledger.renew, *leases)
            except (OperationalError, InterfaceError) as error:
                logger.warning(
                    "renew=%s state=failed reason=%s", self.destination, error
                )

    async def _end(self, grace: float) -> None:
        self._is_ending = True
        await self._senders.end(grace)
        if self._in_hand:
            await asyncio.wait({self._recording}, timeout=grace)
        self._recording.cancel()
        self._renewing.cancel()
        await asyncio.wait({self._recording, self._renewing})


def _leave_database() -> None:
    """`connection` is another one in each thread."""
    connection.close()


def _safely(action: Callable[..., T], *args: object) -> T:
    """Run in a thread of ours; a broken connection is not kept."""
    try:
        return action(*args)
    except Exception:
        connection.close()
        raise


# --- one worker for this process

_lock = threading.Lock()
_workers: dict[tuple[int, str], Worker] = {}


def deliver(destination: str) -> bool:
    """Send for a while; True when there may be more to do at once."""
    return _worker(destination).serve()


def stop() -> None:
    """Give back what this process has in its hands; it ends."""
    with _lock:
        own = [key for key in _workers if key[0] == os.getpid()]
        for key in own:
            _workers.pop(key).stop()


def _worker(destination: str) -> Worker:
    """Made at the first use behind a fork: threads do not survive one."""
    key = (os.getpid(), destination)
    with _lock:
        if key not in _workers:
            share = -(-settings.RELAY_CONNECTIONS // max(1, settings.WORKERS))
            _workers[key] = Worker(destination, relay.hop(), share)
        return _workers[key]


atexit.register(stop)
