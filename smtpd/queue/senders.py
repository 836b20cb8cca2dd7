"""A few connections to one destination, and the jobs they share.

How many depends on how gladly it takes them: each copy taken allows a part of
one more, a connection refused takes them back to those there are.

Fast jobs go before the others, and one connection takes nothing else: a slow
host or a large message never keeps a confirmation waiting.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smtpd.outbound.client import Connection
from smtpd.outbound.exchangers import Undeliverable
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.results import MAX_TEXT, Outcome, Result
from smtpd.outbound.servers import Servers
from smtpd.queue.copies import Job
from smtpd.queue.places import MESSAGES_A_TURN, Places

logger = logging.getLogger(__name__)

# A host that refuses one more connection is not asked for more for a while.
_MODEST_SECONDS = 60.0
_MOST_LOSSES = 2


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom to tell, in the thread of the event loop."""

    # Every recipient of the job has a result.
    done: Callable[[Job], None]
    # Nothing of these was sent, and nothing is wrong with them.
    unsent: Callable[[list[Job]], None]
    # The host takes no mail; these were waiting.
    trouble: Callable[[HostTrouble, list[Job]], None]
    # The host took a connection.
    answered: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of us one destination may have."""

    # Connections at first, and at most.
    first: int
    most: int
    idle_seconds: float
    # Shared with all other destinations.
    places: Places
    # No second connection before the first one brought a message: there may be
    # nobody, or somebody who takes nothing.
    asks_first: bool


class Senders:
    """Connections that open when there is work and close when there is none."""

    def __init__(self, servers: Servers, ears: Ears, bounds: Bounds) -> None:
        self._servers, self._ears, self._bounds = servers, ears, bounds
        self._places = bounds.places
        self._limit = float(bounds.first)
        self._fast: deque[Job] = deque()
        self._bulk: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._idle = 0
        self._has_express = False
        self._modest_until = math.inf if bounds.asks_first else 0.0
        self._is_ending = False
        self._work = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Jobs that no connection has taken yet."""
        return len(self._fast) + len(self._bulk)

    @property
    def is_open(self) -> bool:
        """Whether it takes mail at this moment."""
        return bool(self._open)

    @property
    def is_idle(self) -> bool:
        """Nothing to do, and nobody there to do it."""
        return not (self._tasks or self.waiting)

    async def put(self, jobs: Iterable[Job]) -> None:
        """Give work, and hands to do it."""
        for job in jobs:
            (self._fast if job.is_fast else self._bulk).append(job)
        self._hire()
        async with self._work:
            self._work.notify_all()

    async def end(self, seconds: float) -> None:
        """Finish what is under way, give back the rest, leave."""
        self._is_ending = True
        self._ears.unsent(self._take_all())
        async with self._work:
            self._work.notify_all()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for connection in set(self._open):
            connection.drop()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _hire(self, hands: int = 0) -> None:
        """One express connection for fast jobs, the others for all.

        Hands are connections that are about to take a job.
        """
        most = int(self._limit)
        if self._loop.time() < self._modest_until:
            most = max(1, len(self._open))
        if self._fast and not self._idle and not self._has_express:
            self._start(express=True)
        wanted = self.waiting - self._idle - hands
        # The place of the express connection is kept, even when it is not open.
        free = most - len(self._tasks) - (not self._has_express)
        if self._bulk or len(self._fast) > 1:
            for _ in range(min(wanted, max(free, not self._tasks))):
                self._start(express=False)

    def _start(self, *, express: bool) -> None:
        self._has_express = self._has_express or express
        task = self._loop.create_task(self._run(express=express))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, *, express: bool) -> None:
        """The life of one connection."""
        connection: Connection | None = None
        place = self._places.place(express=express)
        try:
            while await self._wait(express=express):
                async with place:
                    if connection is None or not connection.is_usable:
                        connection = await self._reopen(connection)
                    await self._send(connection, express=express)
        except HostTrouble as trouble:
            self._trouble(trouble, connection)
        except Undeliverable as verdict:
            self._refuse(verdict)
        except Exception as error:
            # Ours, not the host's; but these rows must not stay in our hands.
            logger.exception("sender state=broken")
            self._trouble(HostTrouble(f"we failed: {error}"), connection)
        finally:
            self._has_express = self._has_express and not express
            if connection is not None:
                self._open.discard(connection)
                await connection.close()

    async def _reopen(self, old: Connection | None) -> Connection:
        if old is not None:
            self._open.discard(old)
            old.drop()
        connection = await self._servers.connect()
        self._open.add(connection)
        self._ears.answered()
        return connection

    async def _send(self, connection: Connection, *, express: bool) -> None:
        """One turn: all there is, or a few when others want the place."""
        taken = 0

        def take() -> Job | None:
            nonlocal taken
            if taken >= MESSAGES_A_TURN and self._places.is_wanted(express=express):
                return None
            taken += 1
            return self._take(express=express)

        unsent = await connection.send(take, self._done)
        if isinstance(unsent, Job):
            if not connection.has_sent:
                self._servers.shun(connection)
            self._again(unsent)

    async def _wait(self, *, express: bool) -> bool:
        """Until there is work for us; False: none came, or it is over."""
        if self._has_work(express=express):
            return True
        if not self._places.may_rest():
            return False
        self._idle += not express
        self._places.rest(1)
        try:
            async with asyncio.timeout(self._bounds.idle_seconds), self._work:
                await self._work.wait_for(
                    lambda: self._is_ending or self._has_work(express=express)
                )
        except TimeoutError:
            # It may have come at the same moment.
            return self._has_work(express=express)
        finally:
            self._idle -= not express
            self._places.rest(-1)
        return not self._is_ending

    def _has_work(self, *, express: bool) -> bool:
        return bool(self._fast or (self._bulk and not express))

    def _take(self, *, express: bool) -> Job | None:
        """The next job that can still be begun within its lease."""
        late: list[Job] = []
        found: Job | None = None
        while found is None and not self._is_ending and self._has_work(express=express):
            job = (self._fast or self._bulk).popleft()
            if job.start_before < self._loop.time():
                late.append(job)
            else:
                found = job
        if late:
            self._ears.unsent(late)
        return found

    def _take_all(self) -> list[Job]:
        jobs = [*self._fast, *self._bulk]
        self._fast.clear()
        self._bulk.clear()
        return jobs

    def _done(self, job: object) -> None:
        assert isinstance(job, Job)
        if self._limit < self._bounds.most and _is_taken(job):
            self._limit = min(self._limit + 1 / self._limit, self._bounds.most)
        if math.isinf(self._modest_until):
            self._modest_until = 0.0
            # This one takes a job itself.
            self._hire(hands=1)
        self._ears.done(job)

    def _again(self, job: Job) -> None:
        """A connection may be closed after its hundredth message; once or twice
        in a row it is this message that the host cannot bear.
        """
        if job.losses >= _MOST_LOSSES and job.loss is not None:
            job.settle(job.loss)
            self._ears.done(job)
        elif self._is_ending:
            self._ears.unsent([job])
        else:
            (self._fast if job.is_fast else self._bulk).appendleft(job)

    def _refuse(self, verdict: Undeliverable) -> None:
        """There will never be a server for these."""
        result = Result(
            Outcome.FAILED, verdict.code, verdict.enhanced, str(verdict)[:MAX_TEXT]
        )
        for job in self._take_all():
            job.results = [result] * len(job.recipients)
            self._ears.done(job)

    def _trouble(self, trouble: HostTrouble, connection: Connection | None) -> None:
        """One connection too many is no trouble; no connection at all is."""
        if connection is not None:
            self._open.discard(connection)
        if self._open:
            self._modest_until = self._loop.time() + _MODEST_SECONDS
            self._limit = float(max(2, len(self._open)))
        else:
            self._ears.trouble(trouble, self._take_all())


def _is_taken(job: Job) -> bool:
    return any(known and known.outcome is Outcome.SENT for known in job.results)
