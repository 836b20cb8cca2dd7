"""Rows that a worker had in its hands when it died: one of them is tried alone.

The message they belong to may be what it died of. If so, whoever takes them
together dies again and takes others along, until all of them look like poison;
and if it was something else, as it nearly always is, a few more deaths by chance
make poison of the innocent. So one row of the message goes first, in one process
of all. When that is over and we live, the others follow as if nothing had been.

A message that kills has its three deaths, by the same row, and what was in the
same hands at the first of them is put aside with it. Should one recipient's row
alone be what kills, it comes first sooner or later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from smtpd.queue import schedule
from smtpd.queue.ledger import AGAIN, Claimed

# Whoever survives a row for so long does not die of it.
SECONDS = 2.0
# A process waits up to so long before it tries its first one. Workers that die
# soon after their start, of whatever it is, so die beside it.
PAUSE = 1.0


class Suspects:
    """Chosen in the claimer's thread, settled in that of the loop."""

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        # None: nothing was to be tried yet.
        self._not_before: float | None = None
        self._first: Claimed | None = None
        self._until = 0.0
        # Messages that we have survived...
        self._cleared: set[int] = set()
        # ...whose other rows have not been told yet.
        self._tell: set[int] = set()
        # When those that were left are due.
        self.again_at = 0.0

    def choose(
        self,
        rows: Sequence[Claimed],
        now: float,
        elsewhere: Collection[int] = (),
        poison: Collection[int] = (),
    ) -> tuple[Claimed | None, list[Claimed]]:
        """Say which one to try, and which to put aside.

        `elsewhere` are messages of which a row is tried, or was by another process
        that died of it a moment ago; `poison` those of which one was put aside.
        """
        # They are due before: another process may know better what became of them.
        self.again_at = now + 1.5 * AGAIN.total_seconds()
        if self._first is not None and now >= self._until:
            self._clear(self._first)
        dead = {row for row in rows if schedule.is_poison(row.claims)}
        self._tell |= self._cleared.intersection(row.outgoing_id for row in rows)
        open_ = [row for row in rows if row.outgoing_id not in self._cleared]
        poison = {*poison, *(row.outgoing_id for row in dead)}
        dead |= {row for row in open_ if row.outgoing_id in poison}
        free = [
            row for row in open_ if row not in dead and row.outgoing_id not in elsewhere
        ]
        # By number where deaths are equal, so that it stays the same one.
        first = max(free, key=lambda row: (row.claims, -row.id), default=None)
        return first if first and self._may_try(now) else None, sorted(dead)

    def begin(self, row: Claimed, now: float) -> None:
        """This one is tried now."""
        self._first, self._until = row, now + SECONDS

    def settle(self, row: Claimed) -> None:
        """It is over, and we live."""
        first = self._first
        if first is not None and row.id == first.id:
            self._clear(first)

    def cleared(self) -> set[int]:
        """Messages whose other rows are as good as new, each named once."""
        tell, self._tell = self._tell, set()
        return tell

    def _may_try(self, now: float) -> bool:
        if self._not_before is None:
            self._not_before = now + self._pause
        return self._first is None and now >= self._not_before

    def _clear(self, row: Claimed) -> None:
        self._first = None
        self._cleared.add(row.outgoing_id)
        self._tell.add(row.outgoing_id)
