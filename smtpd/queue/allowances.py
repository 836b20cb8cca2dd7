"""What the site's admins allow a destination, held by all processes together.

A destination with a limit is served by one process at a time: it says so in the
row and says it again as long as it has connections there. So a limit of
connections is that process's own, and nobody else takes of the copies of a
period. These are taken before rows are, and kept in the row: a new start, or
another machine, goes on where the last one was.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from smtpd.models import Destination
from smtpd.models.destination import DestinationQuerySet
from smtpd.queue.rota import Turn

# How long others wait for a process that may be dead. More than the time for
# which a connection without work stays open.
SERVED = timedelta(seconds=60)
_SAY_AGAIN = SERVED.total_seconds() / 4
# How soon a change of the limits is seen.
_READ_AGAIN = 3.0


@dataclass(frozen=True, slots=True)
class Granted:
    """What a claim may take, and when those who may not shall ask again."""

    turns: list[Turn]
    # Seconds, by destination.
    waits: dict[str, float]


class Allowances:
    """Belongs to the claimer's thread; `connections` and `is_slow` to anybody."""

    def __init__(self) -> None:
        self._me = secrets.token_hex(8)
        self._known: dict[str, Destination] = {}
        self._read_at = -math.inf
        self._said_at: dict[str, float] = {}
        # What the last grant took for each.
        self._taken: dict[str, int] = {}

    @property
    def holds(self) -> bool:
        """Whether this process serves a destination with a limit."""
        return bool(self._said_at)

    def connections(self, name: str) -> int | None:
        """The most to one destination; None: no limit of its own."""
        host = self._known.get(name)
        return host.most_connections if host else None

    def is_slow(self, name: str) -> bool:
        """Whether it asked for less a while ago."""
        host = self._known.get(name)
        return bool(host and host.slowdowns)

    def grant(self, turns: Sequence[Turn]) -> Granted:
        """Take of the allowances what these turns want."""
        self._read()
        self._taken = {}
        granted = Granted([], {})
        for turn in turns:
            host = self._known.get(turn.destination)
            if host is None or not host.is_limited:
                granted.turns.append(turn)
            else:
                self._ask(host, turn, granted)
        return granted

    def give_back(self, got: Counter[str]) -> None:
        """What was taken for rows that there were not."""
        for name, count in self._taken.items():
            host, unused = self._known[name], count - got[name]
            if host.allowance and host.spent_until and unused > 0:
                host.spent_until -= unused * host.allowance.step
                self._mine(name).update(spent_until=host.spent_until)

    def keep(self, names: Iterable[str]) -> None:
        """There still are connections to these."""
        for name in names:
            if name in self._said_at and self._is_late(name):
                self._mine(name).update(served_until=timezone.now() + SERVED)
                self._said_at[name] = time.monotonic()

    def leave(self) -> None:
        """Let others serve them: this process ends."""
        if self._said_at:
            self._mine(*self._said_at).update(served_until=None)
            self._said_at = {}

    def _read(self) -> None:
        if time.monotonic() - self._read_at < _READ_AGAIN:
            return
        self._known = {host.name: host for host in Destination.objects.special()}
        self._read_at = time.monotonic()

    def _ask(self, host: Destination, turn: Turn, granted: Granted) -> None:
        if not host.allowance and not self._is_late(host.name):
            granted.turns.append(turn)
            return
        now = timezone.now()
        allowance, spent = host.allowance, host.spent_until or now
        count = allowance.take(spent, now, turn.limit) if allowance else turn.limit
        if allowance and not count:
            granted.waits[host.name] = allowance.wait(spent, now).total_seconds()
            # Somebody else may have taken them.
            self._read_at = -math.inf
            return
        until = (
            max(spent, now) + count * allowance.step if allowance else host.spent_until
        )
        free = Q(served_by=self._me) | Q(served_until=None) | Q(served_until__lte=now)
        as_known = Destination.objects.filter(free, pk=host.pk)
        if not as_known.filter(spent_until=host.spent_until).update(
            spent_until=until, served_by=self._me, served_until=now + SERVED
        ):
            granted.waits[host.name] = _READ_AGAIN
            self._said_at.pop(host.name, None)
            return
        host.spent_until = until
        self._said_at[host.name] = time.monotonic()
        self._taken[host.name] = count
        granted.turns.append(replace(turn, limit=count))

    def _is_late(self, name: str) -> bool:
        """Whether it is time to say that we serve it."""
        return time.monotonic() - self._said_at.get(name, -math.inf) > _SAY_AGAIN

    def _mine(self, *names: str) -> DestinationQuerySet:
        return Destination.objects.filter(name__in=names, served_by=self._me)


def prune(older_than: timedelta = timedelta(days=7)) -> int:
    """Forget destinations that nobody needs to know of; return how many."""
    return Destination.objects.forgotten(timezone.now() - older_than).delete()[0]
