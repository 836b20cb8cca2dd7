"""Jobs that wait for a connection: the fast ones go before the others.

Before both of its lane goes what a dead worker had: as long as it is in our hands,
our own death is one more against it, whatever we die of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from smtpd.queue.copies import Job


class Lanes:
    """Those of one destination. An express connection takes fast ones alone."""

    def __init__(self) -> None:
        self.fast: deque[Job] = deque()
        self.bulk: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self.fast) + len(self.bulk)

    def put(self, jobs: Iterable[Job]) -> None:
        """Behind those that are there, but for what a dead worker had."""
        for job in jobs:
            if job.is_suspect:
                self.put_back(job)
            else:
                (self.fast if job.is_fast else self.bulk).append(job)

    def put_back(self, job: Job) -> None:
        """Before them."""
        (self.fast if job.is_fast else self.bulk).appendleft(job)

    def have_work(self, *, express: bool) -> bool:
        """Whether there is something for such a connection."""
        return bool(self.fast or (self.bulk and not express))

    def take(self, now: float, *, express: bool) -> tuple[Job | None, list[Job]]:
        """The next job that can still be begun, and those it is too late for."""
        late: list[Job] = []
        while self.have_work(express=express):
            job = (self.fast or self.bulk).popleft()
            if job.start_before >= now:
                return job, late
            late.append(job)
        return None, late

    def take_all(self) -> list[Job]:
        """Everything; nothing is left."""
        jobs = [*self.fast, *self.bulk]
        self.fast.clear()
        self.bulk.clear()
        return jobs
