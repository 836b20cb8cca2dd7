"""Claim, send, record: what a worker process does with the ledger.

The event loop runs in a thread of its own and outlives the task that woke it,
so a server that takes ten minutes to answer holds up nobody else. Claiming
(with rendering and signing) and recording have a thread and a database
connection each; all three overlap.

Each destination has connections and waiting rows of its own, so a slow or dead
one holds up nobody: it may have a few rows in our hands until it answers, and
when it does not they go back and it is left alone for a while.

A row is in our hands from the claim to the record. What was sent and not yet
recorded, a batch or two, goes out twice when the process is killed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import Counter
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from smtpd.models import Delivery
from smtpd.outbound.servers import Servers, Shunned
from smtpd.outbound.wire import Timeouts
from smtpd.queue import ledger, schedule
from smtpd.queue.allowances import Allowances, Granted
from smtpd.queue.copies import Copies, Job, Refused
from smtpd.queue.due import WALK, Waiting
from smtpd.queue.hearing import Hearing
from smtpd.queue.ledger import BATCH, Change, Claimed
from smtpd.queue.places import Places
from smtpd.queue.recorder import Recorder
from smtpd.queue.rota import Rota, Turn
from smtpd.queue.senders import Bounds, Senders
from smtpd.queue.suspects import AGAIN, Suspects
from smtpd.queue.threads import leave_database, safely
from smtpd.queue.ways import Ways

logger = logging.getLogger(__name__)
T = TypeVar("T")
State = Delivery.State

# How long a task works before others get their turn.
SLICE = 2.0
# A claimed row that was not begun by then is given back: others may be faster.
START_WITHIN = 120.0
# Fewer waiting jobs than this: claim more, so that no connection runs dry.
_LOW = BATCH // 2
# More than this in hand, beside one a connection, or this many results that wait:
# the database is slower than the next server.
_MOST_IN_HAND = 4 * BATCH
# The same of all destinations together, most of them waiting for a server.
_MOST_OF_ALL = 2000
# Rows of a destination that has not answered yet.
_UNPROVEN = 5
# How often to look for fast rows while a slow host keeps all hands busy.
_GLANCE = 0.5
# What may go so soon is waited for; the sweep comes for the others.
_SOON = 10.0
_GRACE = 20.0


class Worker:
    """Everything one process needs to send."""

    def __init__(self, ways: Ways, timeouts: Timeouts | None = None) -> None:
        self._ways, self._timeouts = ways, timeouts
        self._copies = Copies()
        self._claimer = ThreadPoolExecutor(1, "claim")
        self._rota = Rota()
        self._allowances = Allowances()
        self._suspects = Suspects()
        # When a destination may have more, by the clock of the loop.
        self._waits: dict[str, float] = {}
        # Where the walk over the destinations goes on.
        self._behind = ""
        self._look_at = 0.0
        self._known: dict[str, Waiting] = {}
        self._senders: dict[str, Senders] = {}
        self._is_ending = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="send", daemon=True
        )
        self._thread.start()
        self._call(self._begin())

    async def _begin(self) -> None:
        self._progress = asyncio.Event()
        self._recorder = Recorder(self._progress.set)
        self._places = Places(self._ways.total, all_rest=self._ways.is_relay)
        self._shunned = Shunned()
        self._hearing = Hearing(
            self._change,
            self._recorder.run,
            self._rested,
            has_failed=lambda name: self._known[name].has_failed,
            is_slow=self._allowances.is_slow,
            is_relay=self._ways.is_relay,
        )

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def serve(self, seconds: float = SLICE) -> bool:
        """Send what is due; False when nothing is left, True when time is up."""
        return self._call(self._serve(seconds))

    def stop(self, grace: float = _GRACE) -> None:
        """Finish what is under way, give the rest back, close everything."""
        self._call(self._end(grace))
        self._claimer.submit(safely, self._allowances.leave)
        self._claimer.submit(leave_database)
        self._claimer.shutdown()
        self._recorder.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, seconds: float) -> bool:
        until = self._loop.time() + seconds
        self._look_at = 0.0
        while self._loop.time() < until and not self._is_ending:
            try:
                count = await self._work()
            except (OperationalError, InterfaceError) as error:
                logger.warning("claim state=failed reason=%s", error)
                await asyncio.sleep(_GLANCE)
                count, self._rota = 0, Rota()
            if count or self._rota or self._recorder.in_hand:
                await self._wait()
            elif not await self._rest():
                return False
        return True

    async def _work(self) -> int:
        """Look around now and then, and claim; return how many rows."""
        now = self._loop.time()
        if now >= self._look_at or not self._rota:
            await self._look()
            self._look_at = now + _GLANCE
        turns = self._rota.turns(self._room, BATCH)
        return await self._claim(turns) if turns else 0

    async def _wait(self) -> None:
        """Until there is room, or nothing left in hand, but not for long."""
        deadline = self._loop.time() + _GLANCE
        while self._recorder.in_hand and not any(map(self._room, self._rota)):
            self._progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
            except TimeoutError:
                return

    # --- who has something due, and how much of it we take

    async def _look(self) -> None:
        """Put destinations with mail due into the circle."""
        self._forget()
        run = self._loop.run_in_executor
        if self._allowances.holds:
            busy = [name for name, each in self._senders.items() if not each.is_idle]
            await run(self._claimer, safely, self._allowances.keep, busy)
        if self._ways.is_relay:
            hurried, found = self._read()
        else:
            hurried, found = await run(self._claimer, safely, self._read)
        self._known.update({host.name: host for host in (*hurried, *found)})
        self._rota.hurry(host.name for host in hurried if not self._must_wait(host))
        ready = (host.name for host in found if host.is_due)
        self._rota.add(name for name in ready if self._room(name))

    def _read(self) -> tuple[list[Waiting], list[Waiting]]:
        """The hurried, and the next ones by name; asks the database for domains."""
        found = self._ways.walk(self._behind)
        self._behind = found[-1].name if len(found) == WALK else ""
        return self._ways.hurried(), found

    def _forget(self) -> None:
        """Destinations that are done with."""
        for name, senders in list(self._senders.items()):
            if senders.is_idle and not self._recorder.held(name):
                del self._senders[name]
        wanted = {*self._senders, *self._rota}
        self._known = {name: self._known[name] for name in wanted}

    def _must_wait(self, host: Waiting) -> bool:
        """Whether it has had what it is allowed for now."""
        return self._waits.get(host.name, 0.0) > self._loop.time()

    async def _rest(self) -> bool:
        """Until a destination may have more; False: that is not soon."""
        now = self._loop.time()
        self._waits = {name: at for name, at in self._waits.items() if at > now}
        again = [self._suspects.again_at] if self._suspects.again_at > now else []
        soonest = min([*self._waits.values(), *again], default=math.inf) - now
        if soonest > _SOON:
            return False
        await asyncio.sleep(min(soonest, _GLANCE))
        return True

    def _room(self, name: str) -> int:
        """How many rows more a destination may have in our hands."""
        recorder = self._recorder
        if self._must_wait(self._known[name]):
            return 0
        if recorder.unrecorded > _MOST_IN_HAND or recorder.in_hand > _MOST_OF_ALL:
            return 0
        senders, held = self._senders.get(name), recorder.held(name)
        if not (self._ways.is_relay or (senders and senders.is_open)):
            return max(0, _UNPROVEN - held)
        # A far server has one row on each connection for as long as it answers.
        unserved, hands = (senders.unserved, senders.hands) if senders else (0, 0)
        return BATCH if unserved <= _LOW and held <= _MOST_IN_HAND + hands else 0

    # --- from the claim to the senders

    async def _claim(self, turns: Sequence[Turn]) -> int:
        """Take due rows and put them to work; return how many there were."""
        run = self._loop.run_in_executor
        rows, jobs, granted = await run(self._claimer, safely, self._take, turns)
        self._recorder.take(rows)
        got = Counter(row.destination for row in rows)
        self._rota.served(granted.turns, got, BATCH)
        for name, seconds in granted.waits.items():
            self._rota.drop(name)
            self._waits[name] = self._loop.time() + seconds
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
            senders.allow(self._allowances.connections(name))
            await senders.put(some)
        return len(rows)

    def _take(
        self, turns: Sequence[Turn]
    ) -> tuple[list[Claimed], list[Job | Refused], Granted]:
        """In the claimer's thread: claim, render, sign."""
        granted = self._allowances.grant(turns)
        found = ledger.claim(granted.turns) if granted.turns else []
        rows, back = self._suspects.part(found, self._loop.time())
        if back:
            ledger.give_back(back, timedelta(seconds=AGAIN))
        self._allowances.give_back(Counter(row.destination for row in rows))
        good = [row for row in rows if not schedule.is_poison(row.claims)]
        jobs = list(self._copies.jobs(good))
        poison = [row for row in rows if schedule.is_poison(row.claims)]
        if poison:
            jobs.append(Refused(poison, "workers took it and none came back"))
        return rows, jobs, granted

    def _senders_to(self, name: str) -> Senders:
        if name not in self._senders:
            ways = self._ways
            find = partial(ways.find, self._known[name])
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

    def _rested(self, name: str) -> None:
        """It is left alone for a while."""
        self._rota.drop(name)

    def _change(self, change: Change) -> None:
        self._recorder.put(change)
        self._suspects.settle(change.row)
        senders = self._senders.get(change.row.destination)
        if senders is None or senders.unserved <= _LOW:
            self._progress.set()

    async def _end(self, grace: float) -> None:
        self._is_ending = True
        senders = list(self._senders.values())
        await asyncio.gather(*(each.end(grace) for each in senders))
        await self._recorder.end(grace)
