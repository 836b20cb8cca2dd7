"""Rows that a worker had in its hands when it died: one message of them at a time.

One of them may be what it died of. Taken together with others it would take
them along, until all of them look like poison; so a worker has one message of
this kind at a time, and whoever else was there comes through.
"""

from __future__ import annotations

from collections.abc import Sequence

from smtpd.queue import schedule
from smtpd.queue.ledger import Claimed

# Whoever survives a message for so long does not die of it.
SECONDS = 2.0
# How soon the others are asked for again.
AGAIN = 0.2


class Suspects:
    """Chosen in the claimer's thread, settled in that of the loop."""

    def __init__(self) -> None:
        self._in_hand: set[int] = set()
        self._until = 0.0
        # When others that were given back are due.
        self.again_at = 0.0

    def part(
        self, rows: Sequence[Claimed], now: float
    ) -> tuple[list[Claimed], list[Claimed]]:
        """Which of the claimed rows to work on, and which to give back."""
        suspects = [row for row in rows if _is_suspect(row)]
        if not suspects:
            return list(rows), []
        chosen = None
        if not self._in_hand or now >= self._until:
            chosen = suspects[0].outgoing_id
            self._until = now + SECONDS
            self._in_hand = {row.id for row in suspects if row.outgoing_id == chosen}
        back = [row for row in suspects if row.outgoing_id != chosen]
        if back:
            self.again_at = now + AGAIN
        given = set(back)
        return [row for row in rows if row not in given], back

    def settle(self, row: Claimed) -> None:
        """It is over, and we live."""
        self._in_hand.discard(row.id)


def _is_suspect(row: Claimed) -> bool:
    return row.claims > 1 and not schedule.is_poison(row.claims)
