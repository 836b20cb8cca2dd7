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
import random
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from smtpd.models import Delivery
from smtpd.outbound.servers import Servers, Shunned
from smtpd.outbound.wire import Timeouts
from smtpd.queue import deaths, ledger
from smtpd.queue.allowances import Allowances, Granted
from smtpd.queue.copies import Copies, Job, Refused
from smtpd.queue.demand import LOW, Demand
from smtpd.queue.hearing import Hearing
from smtpd.queue.ledger import Change, Claimed
from smtpd.queue.places import Places
from smtpd.queue.recorder import Recorder
from smtpd.queue.rota import Turn
from smtpd.queue.senders import Bounds, Senders
from smtpd.queue.suspects import PAUSE, Suspects
from smtpd.queue.threads import leave_database, safely
from smtpd.queue.ways import Ways

logger = logging.getLogger(__name__)
T = TypeVar("T")
State = Delivery.State

# How long a task works before others get their turn.
SLICE = 2.0
# A claimed row that was not begun by then is given back: others may be faster.
START_WITHIN = 120.0
# How often to look for fast rows while a slow host keeps all hands busy.
_GLANCE = 0.5
# What may go so soon is waited for; the sweep comes for the others.
_SOON = 10.0
_GRACE = 20.0
_NONE_CAME_BACK = "workers took it and none came back"


@dataclass(slots=True)
class _Taken:
    """What a claim gave."""

    granted: Granted
    rows: list[Claimed] = field(default_factory=list)
    jobs: list[Job | Refused] = field(default_factory=list)
    # As when the database goes away between the claim and what is sent for it.
    trouble: Exception | None = None


class Worker:
    """Everything one process needs to send."""

    def __init__(self, ways: Ways, timeouts: Timeouts | None = None) -> None:
        self._ways, self._timeouts = ways, timeouts
        self._copies = Copies()
        self._claimer = ThreadPoolExecutor(1, "claim")
        self._allowances = Allowances()
        self._suspects = Suspects(random.uniform(0, PAUSE))  # noqa: S311 - jitter
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
        self._progress = asyncio.Event()
        self._recorder = Recorder(self._progress.set)
        self._demand = Demand(self._ways, self._recorder, self._senders)
        self._places = Places(self._ways.total, all_rest=self._ways.is_relay)
        self._shunned = Shunned()
        self._hearing = Hearing(
            self._change,
            self._recorder.run,
            self._demand.drop,
            has_failed=lambda name: self._demand.known(name).has_failed,
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
                self._demand.start_over()
                self._look_at = 0.0
                continue
            if count or self._demand or self._recorder.in_hand:
                await self._wait()
            elif not await self._rest():
                return False
        return True

    async def _work(self) -> int:
        """Look around now and then, and claim; return how many rows."""
        now = self._loop.time()
        if now >= self._look_at or not self._demand:
            await self._look()
            self._look_at = now + _GLANCE
        turns = self._demand.turns()
        return await self._claim(turns) if turns else 0

    async def _wait(self) -> None:
        """Until there is room, or nothing left in hand, but not for long."""
        deadline = self._loop.time() + _GLANCE
        while self._recorder.in_hand and not self._demand.has_room():
            self._progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
            except TimeoutError:
                return

    async def _look(self) -> None:
        """Who has mail due, and with whom we are done."""
        for name, senders in list(self._senders.items()):
            if senders.is_idle and not self._recorder.held(name):
                del self._senders[name]
        run = self._loop.run_in_executor
        if self._allowances.holds:
            busy = [name for name, each in self._senders.items() if not each.is_idle]
            await run(self._claimer, safely, self._allowances.keep, busy)
        if self._ways.is_relay:
            found = self._demand.read()
        else:
            found = await run(self._claimer, safely, self._demand.read)
        self._demand.note(*found)

    async def _rest(self) -> bool:
        """Until a destination may have more; False: that is not soon."""
        soonest = self._demand.next_after([self._suspects.again_at])
        if soonest > _SOON:
            return False
        await asyncio.sleep(min(soonest, _GLANCE))
        return True

    # --- from the claim to the senders

    async def _claim(self, turns: Sequence[Turn]) -> int:
        """Take due rows and put them to work; return how many there were."""
        run = self._loop.run_in_executor
        taken = await run(self._claimer, safely, self._take, turns)
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
            senders.allow(self._allowances.connections(name))
            await senders.put(some)

    def _take(self, turns: Sequence[Turn]) -> _Taken:
        """In the claimer's thread: claim, render, sign."""
        taken = _Taken(self._allowances.grant(turns))
        found = ledger.claim(taken.granted.turns) if taken.granted.turns else []
        taken.rows += [row for row in found if row.is_ours]
        try:
            tried, aside = self._try([row for row in found if not row.is_ours])
            taken.rows += tried
            taken.jobs += self._copies.jobs(taken.rows)
            rows = [*taken.rows, *aside]
            self._allowances.give_back(Counter(row.destination for row in rows))
        except Exception as error:  # noqa: BLE001 - raised behind the rows' return
            leave_database()
            taken.trouble = error
            return taken
        if aside:
            taken.rows += aside
            taken.jobs.append(Refused(aside, _NONE_CAME_BACK))
        return taken

    def _try(self, rows: Sequence[Claimed]) -> tuple[list[Claimed], list[Claimed]]:
        """What dead workers had in their hands is not taken all at once."""
        tried: list[Claimed] = []
        aside: list[Claimed] = []
        if rows:
            now = self._loop.time()
            rivals = deaths.rivals({row.outgoing_id for row in rows})
            first, dead = self._suspects.choose(rows, now, *rivals)
            if first and (tried := deaths.take([first])):
                self._suspects.begin(tried[0], now)
            aside = deaths.take(dead) if dead else []
        if cleared := self._suspects.cleared():
            deaths.absolve(cleared)
        return tried, aside

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
        self._suspects.settle(change.row)
        senders = self._senders.get(change.row.destination)
        if senders is None or senders.unserved <= LOW:
            self._progress.set()

    async def _end(self, grace: float) -> None:
        self._is_ending = True
        senders = list(self._senders.values())
        await asyncio.gather(*(each.end(grace) for each in senders))
        await self._recorder.end(grace)
