"""Claim, send, record: what a worker process does with the ledger.

The event loop runs in a thread of its own and outlives the task that woke it,
so a server that takes ten minutes to answer holds up nobody else. Claiming
(with compiling), recording, renewing leases and telling who failed have a thread
and a database connection each; all of it overlaps with sending.

Each destination has connections and waiting rows of its own, so a slow or dead
one holds up nobody: it may have a few rows in our hands until it answers, and
when it does not they go back and it is left alone for a while.

A row is in our hands from the claim to the record. What was sent and not yet
recorded, a batch or two, goes out twice when the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from smtpd.outbound.servers import Servers, Shunned
from smtpd.outbound.wire import Timeouts
from smtpd.queue.claims import Claims
from smtpd.queue.copies import Job, Refused
from smtpd.queue.demand import LOW, Demand
from smtpd.queue.hearing import Hearing
from smtpd.queue.ledger import Change
from smtpd.queue.places import Places
from smtpd.queue.recorder import Recorder
from smtpd.queue.rota import Turn
from smtpd.queue.senders import Bounds, Senders
from smtpd.queue.telling import Teller
from smtpd.queue.ways import Ways

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A claimed row that was not begun by then is given back: others may be faster.
START_WITHIN = 120.0
# How often to look for fast rows while a slow host keeps all hands busy.
_GLANCE = 0.5
# A database that is away is asked at first so soon again, and then less often.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 5.0
# What may go so soon is waited for; the sweep comes for the others.
_SOON = 10.0
_GRACE = 20.0


class Worker:
    """Everything one process needs to send."""

    def __init__(self, ways: Ways, timeouts: Timeouts | None = None) -> None:
        self._ways, self._timeouts = ways, timeouts
        self._look_at = 0.0
        self._senders: dict[str, Senders] = {}
        self._is_ending = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="send", daemon=True
        )
        self._thread.start()
        self._call(self._begin())

    async def _begin(self) -> None:
        # Somebody says that there may be something; and there is nothing left.
        self._called, self._at_rest = asyncio.Event(), asyncio.Event()
        self._at_rest.set()
        self._progress = asyncio.Event()
        self._claims = Claims()
        self._teller = Teller()
        self._recorder = Recorder(self._progress.set, self._teller.put)
        self._demand = Demand(self._ways, self._recorder, self._senders)
        self._places = Places(self._ways.total, all_rest=self._ways.is_relay)
        self._shunned = Shunned()
        self._hearing = Hearing(
            self._change,
            self._recorder.run,
            self._demand.drop,
            has_failed=lambda name: self._demand.known(name).has_failed,
            is_slow=self._claims.allowances.is_slow,
            is_relay=self._ways.is_relay,
        )
        self._serving = self._loop.create_task(self._serve())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def serve(self, seconds: float = 0.0) -> bool:
        """Send what is due, and go on until nothing is left.

        Wait for that so many seconds, and until the apps know who failed; True:
        there is something still.
        """
        return self._call(self._wake(seconds))

    @property
    def is_at_rest(self) -> bool:
        """Whether there was nothing left to send."""
        return self._at_rest.is_set()

    def stop(self, grace: float = _GRACE) -> None:
        """Finish what is under way, give the rest back, close everything."""
        self._call(self._end(grace))
        self._claims.close()
        self._recorder.close()
        self._teller.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _wake(self, seconds: float) -> bool:
        self._at_rest.clear()
        self._called.set()
        self._progress.set()
        try:
            async with asyncio.timeout(seconds):
                await self._at_rest.wait()
                await self._teller.told()
        except TimeoutError:
            return True
        return False

    async def _serve(self) -> None:
        """From one call to the next, as long as this process lives."""
        while not self._is_ending:
            await self._called.wait()
            try:
                await self._send_all()
            except Exception:
                # The sweep calls again.
                logger.exception("worker state=broken")
            if not self._called.is_set():
                self._at_rest.set()

    async def _send_all(self) -> None:
        pause = _FIRST_PAUSE
        while not self._is_ending:
            try:
                count = await self._work()
            except (OperationalError, InterfaceError) as error:
                logger.warning("claim state=failed reason=%s", error)
                # What it said before is not known any more.
                self._demand.start_over()
                await self._until_called(pause)
                pause = min(2 * pause, _LAST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if count or self._demand or self._recorder.in_hand:
                await self._wait()
            elif not await self._rest():
                return

    async def _work(self) -> int:
        """Look around now and then, and claim; return how many rows."""
        now = self._loop.time()
        if self._called.is_set() or now >= self._look_at or not self._demand:
            self._called.clear()
            await self._look()
            self._look_at = now + _GLANCE
        turns = self._demand.turns()
        return await self._claim(turns) if turns else 0

    async def _wait(self) -> None:
        """Until there is room, or nothing left in hand, but not for long."""
        deadline = self._loop.time() + _GLANCE
        while self._recorder.in_hand and not (
            self._called.is_set() or self._demand.has_room()
        ):
            self._progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
            except TimeoutError:
                return

    async def _until_called(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._called.wait()

    async def _look(self) -> None:
        """Who has mail due, and with whom we are done."""
        for name, senders in list(self._senders.items()):
            if senders.is_idle and not self._recorder.held(name):
                del self._senders[name]
        await self._claims.keep(
            name for name, each in self._senders.items() if not each.is_idle
        )
        if self._ways.is_relay:
            found = self._demand.read()
        else:
            found = await self._claims.run(self._demand.read)
        self._demand.note(*found)

    async def _rest(self) -> bool:
        """Until a destination may have more; False: that is not soon."""
        soonest = self._demand.next_after([self._claims.again_at])
        if soonest > _SOON:
            return False
        await self._until_called(min(soonest, _GLANCE))
        return True

    # --- from the claim to the senders

    async def _claim(self, turns: Sequence[Turn]) -> int:
        """Take due rows and put them to work; return how many there were."""
        taken = await self._claims.take(turns)
        self._recorder.take(taken.rows)
        if taken.trouble is not None:
            # They need not wait until their lease runs out.
            self._hearing.give_back(taken.rows)
            raise taken.trouble
        got = Counter(row.destination for row in taken.rows)
        self._demand.served(taken.granted.turns, got)
        for name, seconds in taken.granted.waits.items():
            self._demand.put_off(name, seconds)
        await self._hand_out(taken.jobs)
        return len(taken.rows)

    async def _hand_out(self, jobs: Iterable[Job | Refused]) -> None:
        start_before = self._loop.time() + START_WITHIN
        ready: dict[str, list[Job]] = {}
        for job in jobs:
            if isinstance(job, Refused):
                self._hearing.refused(job)
            else:
                job.start_before = start_before
                ready.setdefault(job.destination, []).append(job)
        for name, some in ready.items():
            senders = self._senders_to(name)
            senders.allow(self._claims.allowances.connections(name))
            await senders.put(some)

    def _senders_to(self, name: str) -> Senders:
        if name not in self._senders:
            ways = self._ways
            find = partial(ways.find, self._demand.known(name))
            self._senders[name] = Senders(
                Servers(find, self._shunned, self._timeouts),
                self._hearing.ears(name),
                Bounds(
                    ways.first,
                    ways.most,
                    ways.idle_seconds,
                    self._places,
                    asks_first=not ways.is_relay,
                ),
            )
        return self._senders[name]

    # --- back into the ledger, in the thread of the loop

    def _change(self, change: Change) -> None:
        self._recorder.put(change)
        self._claims.settle(change.row)
        senders = self._senders.get(change.row.destination)
        if senders is None or senders.unserved <= LOW:
            self._progress.set()

    async def _end(self, grace: float) -> None:
        self._is_ending = True
        self._called.set()
        self._progress.set()
        # What it has claimed must be in somebody's hands to be given back.
        await asyncio.wait({self._serving})
        senders = list(self._senders.values())
        await asyncio.gather(*(each.end(grace) for each in senders))
        await self._recorder.end(grace)
        await self._teller.end()
