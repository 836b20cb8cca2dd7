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
from typing import NamedTuple

from smtpd.queue import schedule
from smtpd.queue.ledger import Claimed

# Whoever survives a row for so long does not die of it.
SECONDS = 2.0
# How soon the others are asked for again, and those that somebody else tries.
AGAIN = 0.2
ELSEWHERE = 1.0


class Parted(NamedTuple):
    """What becomes of claimed rows."""

    keep: list[Claimed]
    # Due again in AGAIN seconds, and in ELSEWHERE seconds.
    soon: list[Claimed]
    later: list[Claimed]
    put_aside: list[Claimed]


class Suspects:
    """Chosen in the claimer's thread, settled in that of the loop."""

    def __init__(self) -> None:
        self._first: Claimed | None = None
        self._until = 0.0
        # Messages that we have survived...
        self._cleared: set[int] = set()
        # ...whose other rows have not been told yet.
        self._tell: set[int] = set()
        # When others that were given back are due.
        self.again_at = 0.0

    def among(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """Those that may be what a worker died of."""
        return [
            row
            for row in rows
            if _is_suspect(row) and row.outgoing_id not in self._cleared
        ]

    def part(
        self,
        rows: Sequence[Claimed],
        now: float,
        elsewhere: Collection[int] = (),
        poison: Collection[int] = (),
    ) -> Parted:
        """Say what to work on now.

        `elsewhere` are messages of which another process tries a row, or died of
        it a moment ago; `poison` those of which one was put aside.
        """
        if self._first is not None and now >= self._until:
            self._clear(self._first)
        dead = [row for row in rows if schedule.is_poison(row.claims)]
        poison = {*poison, *(row.outgoing_id for row in dead)}
        suspects = self.among(rows)
        aside = [row for row in suspects if row.outgoing_id in poison]
        mine = self._first.outgoing_id if self._first else None
        later = [
            row
            for row in suspects
            if row.outgoing_id in elsewhere and row.outgoing_id not in {mine, *poison}
        ]
        rest = {*suspects}.difference(aside, later)
        if self._first is None and rest:
            # By number where deaths are equal, so that it stays the same one.
            self._first = max(rest, key=lambda row: (row.claims, -row.id))
            self._until = now + SECONDS
            rest.remove(self._first)
        soon = [row for row in rows if row in rest or self._is_unabsolved(row)]
        if soon or later:
            self.again_at = now + (AGAIN if soon else ELSEWHERE)
        gone = {*soon, *later, *aside, *dead}
        keep = [row for row in rows if row not in gone]
        return Parted(keep, soon, later, [*aside, *dead])

    def settle(self, row: Claimed) -> None:
        """It is over, and we live."""
        first = self._first
        if first is not None and row.id == first.id:
            self._clear(first)

    def cleared(self) -> set[int]:
        """Messages whose other rows are as good as new, each named once."""
        tell, self._tell = self._tell, set()
        return tell

    def _clear(self, row: Claimed) -> None:
        self._first = None
        self._cleared.add(row.outgoing_id)
        self._tell.add(row.outgoing_id)

    def _is_unabsolved(self, row: Claimed) -> bool:
        """Of a message that was cleared, when a dead worker still had this row."""
        found = _is_suspect(row) and row.outgoing_id in self._cleared
        if found:
            self._tell.add(row.outgoing_id)
        return found


def _is_suspect(row: Claimed) -> bool:
    return row.claims > 1 and not schedule.is_poison(row.claims)
