"""Lists of addresses in DNS that mail is not wanted from (RFC 5782).

They are somebody else's word, so they never hold mail up: no answer in time,
an error or an answer that makes no sense counts as not listed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import dns.reversename

log = logging.getLogger(__name__)

# Of a client that connects again and again.
_KEPT_SECONDS = 60.0
_MOST_KEPT = 10_000
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")
# What lists say about our question instead of about the client.
_NO_ANSWERS = ipaddress.ip_network("127.255.255.0/24")


@dataclass(slots=True)
class Blocklists:
    """The lists of one site. Belongs to one event loop."""

    zones: Sequence[str]
    resolver: dns.asyncresolver.Resolver
    # For all of them together.
    seconds: float = 3.0
    clock: Callable[[], float] = time.monotonic
    _asked: OrderedDict[str, tuple[float, asyncio.Task[str]]] = field(
        default_factory=OrderedDict
    )

    async def listing(self, peer: str) -> str:
        """The zone that lists an address, "" when none does.

        Addresses of private networks are on nobody's list and not asked for.
        """
        if not self.zones or not ipaddress.ip_address(peer).is_global:
            return ""
        until, task = self._asked.get(peer, (0.0, None))
        if task is None or until < self.clock():
            task = asyncio.create_task(self._ask(peer))
            self._asked[peer] = (self.clock() + _KEPT_SECONDS, task)
            self._asked.move_to_end(peer)
            if len(self._asked) > _MOST_KEPT:
                self._asked.popitem(last=False)
        return await asyncio.shield(task)

    async def _ask(self, peer: str) -> str:
        """The first zone, in their order, that lists it."""
        asking = [asyncio.create_task(self._is_on(peer, zone)) for zone in self.zones]
        await asyncio.wait(asking, timeout=self.seconds)
        for zone, task in zip(self.zones, asking, strict=True):
            if not task.done():
                task.cancel()
                log.warning("no answer from blocklist zone=%s peer=%s", zone, peer)
            elif task.result():
                return zone
        return ""

    async def _is_on(self, peer: str, zone: str) -> bool:
        """RFC 5782 2.1 and 2.4: it is listed when its name has an address."""
        try:
            answer = await self.resolver.resolve(
                _name(peer, zone), "A", lifetime=self.seconds
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return False
        except (dns.exception.DNSException, OSError) as error:
            log.warning("no answer from blocklist zone=%s error=%r", zone, error)
            return False
        found = [ipaddress.ip_address(record.address) for record in answer]
        return any(one in _ANSWERS and one not in _NO_ANSWERS for one in found)


def _name(peer: str, zone: str) -> dns.name.Name:
    """2.1.0.192 and so on, below the zone."""
    labels = dns.reversename.from_address(peer).labels
    # Without in-addr.arpa or ip6.arpa and the root.
    return dns.name.Name(labels[:-3]).derelativize(dns.name.from_text(zone))
