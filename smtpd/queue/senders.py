"""A few connections to one host, and the jobs they share.

Fast jobs go before the others, and one connection takes nothing else: a
slow host or a large message never keeps a confirmation waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smtpd.outbound.client import Connection
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.relay import Hop
from smtpd.outbound.wire import Timeouts
from smtpd.queue.copies import Job

IDLE_SECONDS = 30.0
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
    trouble: Callable[[str, list[Job]], None]
    # The host took a connection.
    answered: Callable[[], None]


class Senders:
    """Connections that open when there is work and close when there is none."""

    def __init__(
        self, hop: Hop, most: int, ears: Ears, timeouts: Timeouts | None = None
    ) -> None:
        self._hop, self._most, self._ears = hop, max(2, most), ears
        self._timeouts = timeouts or Timeouts()
        self._fast: deque[Job] = deque()
        self._bulk: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._idle = 0
        self._has_express = False
        self._modest_until = 0.0
        self._is_ending = False
        self._work = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Jobs that no connection has taken yet."""
        return len(self._fast) + len(self._bulk)

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

    def _hire(self) -> None:
        """One express connection for fast jobs, the others for all."""
        most = self._most
        if self._loop.time() < self._modest_until:
            most = max(1, len(self._open))
        if self._fast and not self._idle and not self._has_express:
            self._start(express=True)
        wanted = self.waiting - self._idle
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
        try:
            while await self._wait(express=express):
                if connection is None or not connection.is_usable:
                    connection = await self._reopen(connection)
                unsent = await connection.send(
                    lambda: self._take(express=express), self._done
                )
                if isinstance(unsent, Job):
                    self._again(unsent)
        except HostTrouble as trouble:
            self._trouble(str(trouble), connection)
        finally:
            self._has_express = self._has_express and not express
            if connection is not None:
                self._open.discard(connection)
                await connection.close()

    async def _reopen(self, old: Connection | None) -> Connection:
        if old is not None:
            self._open.discard(old)
            old.drop()
        connection = await Connection.open(self._hop, self._timeouts)
        self._open.add(connection)
        self._ears.answered()
        return connection

    async def _wait(self, *, express: bool) -> bool:
        """Until there is work for us; False: none came, or it is over."""
        if self._has_work(express=express):
            return True
        self._idle += not express
        try:
            async with asyncio.timeout(IDLE_SECONDS), self._work:
                await self._work.wait_for(
                    lambda: self._is_ending or self._has_work(express=express)
                )
        except TimeoutError:
            return False
        finally:
            self._idle -= not express
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

    def _trouble(self, reason: str, connection: Connection | None) -> None:
        """One connection too many is no trouble; no connection at all is."""
        if connection is not None:
            self._open.discard(connection)
        if self._open:
            self._modest_until = self._loop.time() + _MODEST_SECONDS
        else:
            self._ears.trouble(reason, self._take_all())
