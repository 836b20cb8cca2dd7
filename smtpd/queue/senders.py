"""A few connections to one destination, and the jobs they share.

How many depends on how gladly it takes them (`concurrency`).

Fast jobs go before the others, and one connection takes nothing else: a slow
host or a large message never keeps a confirmation waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from smtpd.outbound.client import Connection
from smtpd.outbound.exchangers import Undeliverable
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.results import MAX_TEXT, Outcome, Result
from smtpd.outbound.servers import Servers
from smtpd.queue.concurrency import Concurrency
from smtpd.queue.copies import Job
from smtpd.queue.lanes import Lanes
from smtpd.queue.places import MESSAGES_A_TURN, Places

logger = logging.getLogger(__name__)

_MOST_LOSSES = 2
# What ends a connection before its first message: there are too many.
_CLOSING = "421"


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
    # It asks again and again for less; these were waiting.
    slowed: Callable[[Result, list[Job]], None]
    # It took a copy, the first one here or since it asked for less.
    took: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of us one destination may have."""

    # Connections at first, and at most.
    first: int
    most: int
    idle_seconds: float
    # Shared with all other destinations.
    places: Places
    # No second connection before the first one brought a message.
    asks_first: bool


class Senders:
    """Connections that open when there is work and close when there is none."""

    def __init__(self, servers: Servers, ears: Ears, bounds: Bounds) -> None:
        self._servers, self._ears, self._bounds = servers, ears, bounds
        self._places = bounds.places
        self._concurrency = Concurrency(
            bounds.first, bounds.most, asks_first=bounds.asks_first
        )
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._idle = 0
        self._has_express = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._work = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Jobs that no connection has taken yet."""
        return len(self._lanes)

    @property
    def unserved(self) -> int:
        """Those of them that no connection takes either that is being opened."""
        return max(0, self.waiting - len(self._tasks) + len(self._open))

    @property
    def hands(self) -> int:
        """Connections that are open or being opened."""
        return len(self._tasks)

    @property
    def is_open(self) -> bool:
        """Whether it takes mail at this moment."""
        return bool(self._open)

    @property
    def is_idle(self) -> bool:
        """Nothing to do, and nobody there to do it."""
        return not (self._tasks or self._leaving or self.waiting)

    def allow(self, most: int | None) -> None:
        """An admin says how many connections it may have; None: nobody does."""
        self._concurrency.allow(most)

    async def put(self, jobs: Iterable[Job]) -> None:
        """Give work, and hands to do it."""
        self._lanes.put(jobs)
        self._hire()
        async with self._work:
            self._work.notify_all()

    async def end(self, seconds: float) -> None:
        """Finish what is under way, give back the rest, leave."""
        self._is_ending = True
        self._ears.unsent(self._lanes.take_all())
        async with self._work:
            self._work.notify_all()
        if tasks := self._tasks | self._leaving:
            await asyncio.wait(tasks, timeout=seconds)
        for connection in set(self._open):
            connection.drop()
        if tasks := self._tasks | self._leaving:
            await asyncio.wait(tasks)

    def _hire(self, hands: int = 0) -> None:
        """One express connection for fast jobs, the others for all.

        Hands are connections that are about to take a job.
        """
        most = self._concurrency.now(len(self._open), self._loop.time())
        # The only one there may be takes all.
        may_express = self._concurrency.most > 1
        if (
            self._lanes.fast
            and not self._idle
            and may_express
            and not self._has_express
        ):
            self._start(express=True)
        wanted = self.waiting - self._idle - hands
        # The place of the express connection is kept, even when it is not open.
        free = most - len(self._tasks) - (may_express and not self._has_express)
        if self._lanes.bulk or len(self._lanes.fast) > may_express:
            for _ in range(min(wanted, max(free, not self._tasks))):
                self._start(express=False)

    def _start(self, *, express: bool) -> None:
        self._has_express = self._has_express or express
        task = self._loop.create_task(self._run(express=express))
        self._tasks.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        """The last one to go leaves no work behind."""
        self._tasks.discard(task)
        if self.waiting and not self._tasks and not self._is_ending:
            self._hire()

    async def _run(self, *, express: bool) -> None:
        """The life of one connection."""
        connection: Connection | None = None
        place = self._places.place(express=express)
        try:
            while self._may_stay(express=express) and await self._wait(express=express):
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

    def _is_spare(self, *, express: bool) -> bool:
        """Whether there are more connections than the host likes by now."""
        others = len(self._tasks) - self._has_express
        return not express and others > max(
            1, self._concurrency.limit - self._has_express
        )

    def _may_stay(self, *, express: bool) -> bool:
        """Whether the connection of this task does; else it is counted no more."""
        task = asyncio.current_task()
        if not self._is_spare(express=express) or task is None:
            return True
        self._tasks.discard(task)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return False

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
            if self._is_spare(express=express):
                return None
            if taken >= MESSAGES_A_TURN and self._places.is_wanted(express=express):
                return None
            taken += 1
            return self._take(express=express)

        unsent = await connection.send(take, partial(self._done, express=express))
        if isinstance(unsent, Job):
            if not connection.has_sent:
                self._servers.shun(connection)
                if unsent.loss and unsent.loss.text.startswith(_CLOSING):
                    self._slow_down(replace(unsent.loss, code=int(_CLOSING)))
            self._again(unsent)

    async def _wait(self, *, express: bool) -> bool:
        """Until there is work for us; False: none came, or it is over."""
        if self._lanes.have_work(express=express):
            return True
        if not self._places.may_rest():
            return False
        self._idle += not express
        self._places.rest(1)
        try:
            async with asyncio.timeout(self._bounds.idle_seconds), self._work:
                await self._work.wait_for(
                    lambda: self._is_ending or self._lanes.have_work(express=express)
                )
        except TimeoutError:
            # It may have come at the same moment.
            return self._lanes.have_work(express=express)
        finally:
            self._idle -= not express
            self._places.rest(-1)
        return not self._is_ending

    def _take(self, *, express: bool) -> Job | None:
        """The next job that can still be begun within its lease."""
        if self._is_ending:
            return None
        found, late = self._lanes.take(self._loop.time(), express=express)
        if late:
            self._ears.unsent(late)
        return found

    def _done(self, job: object, *, express: bool) -> None:
        assert isinstance(job, Job)
        slowing = [known for known in job.results if known and known.is_slowing]
        if slowing:
            self._slow_down(slowing[0])
        elif _is_taken(job) and self._concurrency.took():
            self._ears.took()
        if self._concurrency.answered():
            # This one takes a job itself, but the express one takes fast ones only.
            self._hire(hands=not express)
        self._ears.done(job)

    def _slow_down(self, result: Result) -> None:
        if self._concurrency.slowed():
            self._ears.slowed(result, self._lanes.take_all())

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
            self._lanes.put_back(job)

    def _refuse(self, verdict: Undeliverable) -> None:
        """There will never be a server for these."""
        result = Result(
            Outcome.FAILED, verdict.code, verdict.enhanced, str(verdict)[:MAX_TEXT]
        )
        for job in self._lanes.take_all():
            job.results = [result] * len(job.recipients)
            self._ears.done(job)

    def _trouble(self, trouble: HostTrouble, connection: Connection | None) -> None:
        """One connection too many is no trouble; no connection at all is."""
        if connection is not None:
            self._open.discard(connection)
        if self._open:
            self._concurrency.refused(len(self._open), self._loop.time())
        else:
            self._ears.trouble(trouble, self._lanes.take_all())


def _is_taken(job: Job) -> bool:
    return any(known and known.outcome is Outcome.SENT for known in job.results)
