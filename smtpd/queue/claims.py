"""From due rows to the jobs that are sent, in a thread of its own.

Claiming and compiling overlap with sending, which signs, and recording. A thread has
a database connection of its own, and what is in here belongs to it; `again_at`,
`settle` and what the allowances say of connections anybody may ask.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from smtpd.queue import deaths, ledger
from smtpd.queue.allowances import Allowances, Granted
from smtpd.queue.copies import Copies, Job, Refused
from smtpd.queue.ledger import Claimed
from smtpd.queue.rota import Turn
from smtpd.queue.suspects import PAUSE, Suspects
from smtpd.queue.threads import leave_database, safely

T = TypeVar("T")
_NONE_CAME_BACK = "workers took it and none came back"


@dataclass(slots=True)
class Taken:
    """What a claim gave."""

    granted: Granted
    rows: list[Claimed] = field(default_factory=list)
    jobs: list[Job | Refused] = field(default_factory=list)
    # As when the database goes away between the claim and what is sent for it.
    trouble: Exception | None = None


class Claims:
    """Those of one process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, "claim")
        self._copies = Copies()
        self._suspects = Suspects(random.uniform(0, PAUSE))  # noqa: S311 - jitter
        self.allowances = Allowances()

    @property
    def again_at(self) -> float:
        """When rows of a dead worker that were left alone are due again."""
        return self._suspects.again_at

    def settle(self, row: Claimed) -> None:
        """A row has its result, and we live."""
        self._suspects.settle(row)

    async def run(self, action: Callable[..., T], *args: object) -> T:
        """Another question to the database, in its turn."""
        return await self._loop.run_in_executor(self._pool, safely, action, *args)

    async def take(self, turns: Sequence[Turn]) -> Taken:
        """Claim rows of these and make jobs of them.

        What is claimed comes back even if the rest fails: nobody else may have it.
        """
        return await self.run(self._take, turns)

    async def keep(self, busy: Iterable[str]) -> None:
        """Say that this process still serves these, if they have limits."""
        if self.allowances.holds:
            await self.run(self.allowances.keep, list(busy))

    def close(self) -> None:
        """From outside the loop, when nothing is claimed any more."""
        self._pool.submit(safely, self.allowances.leave)
        self._pool.submit(leave_database)
        self._pool.shutdown()

    def _take(self, turns: Sequence[Turn]) -> Taken:
        taken = Taken(self.allowances.grant(turns))
        found = ledger.claim(taken.granted.turns) if taken.granted.turns else []
        taken.rows += [row for row in found if row.is_ours]
        try:
            tried, aside = self._try([row for row in found if not row.is_ours])
            taken.rows += tried
            taken.jobs += self._copies.jobs(taken.rows)
            rows = [*taken.rows, *aside]
            self.allowances.give_back(Counter(row.destination for row in rows))
        except Exception as error:  # noqa: BLE001 - raised where the rows are returned
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
