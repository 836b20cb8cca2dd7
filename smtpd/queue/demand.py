"""Who has mail due, and how much of it one process may have in its hands."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from smtpd.queue.due import WALK, Waiting
from smtpd.queue.ledger import BATCH
from smtpd.queue.recorder import Recorder
from smtpd.queue.rota import Rota, Turn
from smtpd.queue.senders import Senders
from smtpd.queue.ways import Ways

# Fewer waiting jobs than this: claim more, so that no connection runs dry.
LOW = BATCH // 2
# More than this in hand, beside one a connection, or this many results that wait:
# the database is slower than the next server.
_MOST_IN_HAND = 4 * BATCH
# The same of all destinations together, most of them waiting for a server.
_MOST_OF_ALL = 2000
# Rows of a destination that has not answered yet.
_UNPROVEN = 5


class Demand:
    """The destinations with mail due, in a circle.

    Each has its own share of our hands: a slow or dead one holds up nobody. All
    but read() belongs to the thread of the loop.
    """

    def __init__(
        self, ways: Ways, recorder: Recorder, senders: Mapping[str, Senders]
    ) -> None:
        self._ways, self._recorder, self._senders = ways, recorder, senders
        self._rota = Rota()
        # When a destination may have more, by the clock of the loop.
        self._waits: dict[str, float] = {}
        # Where the walk over the destinations goes on.
        self._behind = ""
        self._known: dict[str, Waiting] = {}
        self._loop = asyncio.get_running_loop()

    def __bool__(self) -> bool:
        return bool(self._rota)

    def read(self) -> tuple[list[Waiting], list[Waiting]]:
        """The hurried, and the next ones by name; asks the database for domains."""
        found = self._ways.walk(self._behind)
        self._behind = found[-1].name if len(found) == WALK else ""
        return self._ways.hurried(), found

    def note(self, hurried: Iterable[Waiting], found: Iterable[Waiting]) -> None:
        """Put what read() gave into the circle, and forget who is done with."""
        wanted = {*self._senders, *self._rota}
        self._known = {name: self._known[name] for name in wanted}
        hurried, found = list(hurried), list(found)
        self._known.update({host.name: host for host in (*hurried, *found)})
        self._rota.hurry(host.name for host in hurried if not self._must_wait(host))
        ready = (host.name for host in found if host.is_due)
        self._rota.add(name for name in ready if self.room(name))

    def known(self, name: str) -> Waiting:
        """What read() said of a destination that we have to do with."""
        return self._known[name]

    def turns(self) -> list[Turn]:
        """Who may have how much of the next claim."""
        return self._rota.turns(self.room, BATCH)

    def served(self, turns: Sequence[Turn], got: Counter[str]) -> None:
        """What a claim gave."""
        self._rota.served(turns, got, BATCH)

    def drop(self, name: str) -> None:
        """It takes nothing now."""
        self._rota.drop(name)

    def start_over(self) -> None:
        """What the claim had taken is not known: look again."""
        self._rota = Rota()

    def put_off(self, name: str, seconds: float) -> None:
        """It has had what it is allowed for now."""
        self._rota.drop(name)
        self._waits[name] = self._loop.time() + seconds

    def next_after(self, others: Collection[float]) -> float:
        """In how many seconds the first may go on that had to wait."""
        now = self._loop.time()
        self._waits = {name: at for name, at in self._waits.items() if at > now}
        times = [*self._waits.values(), *(at for at in others if at > now)]
        return min(times, default=math.inf) - now

    def has_room(self) -> bool:
        """Whether anybody in the circle may have more."""
        return any(map(self.room, self._rota))

    def room(self, name: str) -> int:
        """How many rows more a destination may have in our hands."""
        recorder = self._recorder
        if self._must_wait(self._known[name]):
            return 0
        if recorder.unrecorded > _MOST_IN_HAND or recorder.in_hand > _MOST_OF_ALL:
            return 0
        senders, held = self._senders.get(name), recorder.held(name)
        if not (self._ways.is_relay or (senders and senders.is_open)):
            return max(0, _UNPROVEN - held)
        # A far server has one row on each connection for as long as it answers.
        unserved, hands = (senders.unserved, senders.hands) if senders else (0, 0)
        return BATCH if unserved <= LOW and held <= _MOST_IN_HAND + hands else 0

    def _must_wait(self, host: Waiting) -> bool:
        return self._waits.get(host.name, 0.0) > self._loop.time()
