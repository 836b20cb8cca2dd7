"""What the senders of a destination tell, and what that makes of its rows.

All in the thread of the loop; statements go to the recorder, in their turn.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

from smtpd.models import Delivery
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.results import MAX_TEXT, Result
from smtpd.queue import ledger
from smtpd.queue.copies import Job, Refused
from smtpd.queue.ledger import Change, Claimed
from smtpd.queue.outcomes import changed
from smtpd.queue.senders import Ears

logger = logging.getLogger(__name__)
State = Delivery.State

# How often the ledger hears that the relay is well, however many connections
# are opened.
_WELL_SECONDS = 0.5


class Hearing:
    """For all destinations of a worker."""

    def __init__(
        self,
        change: Callable[[Change], None],
        run: Callable[..., None],
        rested: Callable[[str], None],
        *,
        has_failed: Callable[[str], bool],
        is_slow: Callable[[str], bool],
        is_relay: bool,
    ) -> None:
        self._change, self._run, self._rested = change, run, rested
        self._has_failed, self._is_slow = has_failed, is_slow
        self._is_relay = is_relay
        self._say_well_at = 0.0

    def ears(self, name: str) -> Ears:
        """Those for one destination."""
        return Ears(
            self._done,
            self._unsent,
            partial(self._trouble, name),
            partial(self._answered, name),
            partial(self._slowed, name),
            partial(self._took, name),
        )

    def refused(self, refused: Refused) -> None:
        """Nobody can send these: a person must look."""
        for row in refused.rows:
            logger.error("delivery=%s state=quarantined %s", row.id, refused.reason)
            self._change(
                Change(
                    row,
                    State.QUARANTINED,
                    is_attempt=False,
                    text=refused.reason[:MAX_TEXT],
                )
            )

    def give_back(self, rows: Iterable[Claimed]) -> None:
        """Nothing of these was sent, and nothing is wrong with them."""
        for row in rows:
            self._change(Change(row, State.QUEUED, is_attempt=False))

    def _done(self, job: Job) -> None:
        for row, result in zip(job.rows, job.results, strict=True):
            assert result is not None
            self._change(changed(row, result, job.queued_at))

    def _unsent(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.give_back(job.rows)

    def _trouble(self, name: str, trouble: HostTrouble, jobs: list[Job]) -> None:
        """The host's failure, not theirs; but too old is too old."""
        level = logging.ERROR if self._is_relay else logging.WARNING
        logger.log(level, "host=%s state=refusing reason=%s", name, trouble)
        self._run(
            ledger.host_failed, name, str(trouble), str(trouble.stage), trouble.code
        )
        self._rested(name)
        result = trouble.result(name)
        for job in jobs:
            for row in job.rows:
                change = changed(row, result, job.queued_at, is_attempt=False)
                self._change(change)

    def _answered(self, name: str) -> None:
        now = time.monotonic()
        if not self._has_failed(name) or now < self._say_well_at:
            return
        if self._is_relay:
            # Of the relay we never know better.
            self._say_well_at = now + _WELL_SECONDS
        self._run(ledger.host_answered, name)

    def _slowed(self, name: str, result: Result, jobs: list[Job]) -> None:
        """Less for a while; what has no reply yet keeps its turn."""
        said = " ".join(filter(None, (str(result.code), result.enhanced, result.text)))
        logger.warning("host=%s state=slowing reason=%s", name, said)
        self._run(ledger.host_slowed, name, said, str(result.stage), result.code)
        self._rested(name)
        self._unsent(jobs)

    def _took(self, name: str) -> None:
        if self._is_slow(name):
            self._run(ledger.host_took, name)
