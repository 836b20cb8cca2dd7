"""The servers of one destination: whichever takes a connection first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from smtpd.outbound.client import Connection
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.relay import Hop
from smtpd.outbound.wire import Timeouts

Find = Callable[[], Awaitable[Sequence[Hop]]]

# How long a server that failed stands behind the others.
_SHUNNED_SECONDS = 300.0
# No further server is tried so long after the first: rows wait for this.
_TRY_WITHIN = 90.0


class Shunned:
    """Servers that failed a moment ago, for all destinations that share them."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, int], float] = {}
        self._loop = asyncio.get_running_loop()

    def add(self, hop: Hop) -> None:
        """Ask the others first for a while."""
        now = self._loop.time()
        self._until = {at: end for at, end in self._until.items() if end > now}
        self._until[(hop.host, hop.port)] = now + _SHUNNED_SECONDS

    def last(self, hops: Sequence[Hop]) -> list[Hop]:
        """The same servers, those that failed at the end."""
        now = self._loop.time()
        return sorted(
            hops, key=lambda hop: self._until.get((hop.host, hop.port), 0) > now
        )


class Servers:
    """Opens connections to one destination."""

    def __init__(
        self, find: Find, shunned: Shunned, timeouts: Timeouts | None = None
    ) -> None:
        self._find, self._shunned = find, shunned
        self._timeouts = timeouts or Timeouts()
        self._loop = asyncio.get_running_loop()

    async def connect(self) -> Connection:
        """The best server that greets us (RFC 5321 5.1: try at least two).

        Raise HostTrouble when none does, and what find() raises.
        """
        until = self._loop.time() + _TRY_WITHIN
        trouble = HostTrouble("there is no server to ask")
        for hop in self._shunned.last(await self._find()):
            try:
                return await Connection.open(hop, self._timeouts)
            except HostTrouble as error:
                trouble = error
                self._shunned.add(hop)
            if self._loop.time() > until:
                break
        raise trouble

    def shun(self, connection: Connection) -> None:
        """It greeted us and would take nothing: ask another one next."""
        self._shunned.add(connection.hop)
