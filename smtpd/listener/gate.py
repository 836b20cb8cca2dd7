"""How many may be connected at once, in all and from one place. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter

from smtpd import replies
from smtpd.replies import Reply

# What one customer of a provider usually gets.
_PREFIX = 64


class Gate:
    """Counts connections; every `enter` that returned None needs a `leave`."""

    def __init__(self, *, total: int, of_peer: int) -> None:
        self.total = total
        self.of_peer = of_peer
        self.inside = 0
        self._places: Counter[str] = Counter()

    def enter(self, peer: str) -> Reply | None:
        """Let a peer in, or say why not."""
        place = _place(peer)
        if self.inside >= self.total:
            return replies.TOO_BUSY
        if place and self._places[place] >= self.of_peer:
            return replies.TOO_MANY_FROM_YOU
        self.inside += 1
        self._places[place] += 1
        return None

    def leave(self, peer: str) -> None:
        """Count one that `enter` let in as gone."""
        place = _place(peer)
        self.inside -= 1
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]


def _place(peer: str) -> str:
    """The network a peer is counted by; "" for this machine, not counted."""
    if not peer:
        return ""
    address = ipaddress.ip_address(peer.partition("%")[0])
    if address.is_loopback:
        return ""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address), _PREFIX), strict=False))
