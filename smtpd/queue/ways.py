"""How mail leaves this site: all to one relay, or to each domain's own servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from django.conf import settings

from smtpd.nameserver import resolver
from smtpd.outbound import relay
from smtpd.outbound.mx import Exchanges, Site
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.ourselves import listens_at
from smtpd.outbound.relay import RELAY, TLS, Hop
from smtpd.queue import due
from smtpd.queue.due import Waiting

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared
# Connections to one domain: at first, and in the end when it likes us.
_FIRST, _MOST = 5, 20
_RELAY_IDLE_SECONDS = 30.0
# A stranger's server has better things to do than to wait for our next post.
_IDLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ways:
    """What a worker must know of the world outside."""

    # The servers of a destination, the best first.
    find: Callable[[Waiting], Awaitable[Sequence[Hop]]]
    # Destinations with rows in the fast lane; and those by order of name.
    hurried: Callable[[], list[Waiting]]
    walk: Callable[[str], list[Waiting]]
    # Connections to one destination at first, and at most; to all at most.
    first: int
    most: int
    total: int
    idle_seconds: float
    # One server takes all: it is ours to look after, and no stranger's.
    is_relay: bool


def to_relay(hop: Hop, connections: int) -> Ways:
    """Everything to one server."""

    async def find(_: Waiting) -> Sequence[Hop]:
        return (hop,)

    only = [Waiting(RELAY, is_due=True, has_failed=True)]
    most = max(2, connections)
    return Ways(
        find,
        hurried=lambda: only,
        walk=lambda behind: only,
        first=most,
        most=most,
        total=most,
        idle_seconds=_RELAY_IDLE_SECONDS,
        is_relay=True,
    )


def to_domains(exchanges: Exchanges, ours: Hop | None, connections: int) -> Ways:
    """To each domain's own servers; of our own domains, to our own listener.

    The MX records of our domains lead to us and would be a loop (RFC 5321 5.1);
    the listener knows their addresses without DNS.
    """

    async def find(destination: Waiting) -> Sequence[Hop]:
        if not destination.is_ours:
            return await exchanges.servers(destination.name)
        if ours is None:
            raise HostTrouble("the domain is ours, and SMTP_BIND is empty")
        return (ours,)

    share = max(1, connections)
    workers = max(1, settings.WORKERS)
    return Ways(
        find,
        hurried=lambda: [host for host in due.fast() if host.name != RELAY],
        walk=_walk,
        first=max(2, -(-_FIRST // workers)),
        most=max(2, -(-_MOST // workers)),
        total=share,
        idle_seconds=_IDLE_SECONDS,
        is_relay=False,
    )


def _walk(behind: str) -> list[Waiting]:
    """Rows left from the time of a relay get their domain from the sweep."""
    return [
        replace(host, is_due=host.is_due and host.name != RELAY)
        for host in due.walk(behind)
    ]


def from_settings() -> Ways:
    """What the settings say; ImproperlyConfigured if that is unusable."""
    workers = max(1, settings.WORKERS)
    if not relay.is_direct():
        return to_relay(relay.hop(), -(-settings.RELAY_CONNECTIONS // workers))
    tls = TLS.NONE if settings.RELAY_TLS == TLS.NONE else TLS.OPPORTUNISTIC
    site = Site(
        settings.SMTP_HOSTNAME,
        settings.MX_PORT,
        tls,
        is_ours=listens_at(settings.SMTP_BIND),
        may_be_private=settings.MX_PRIVATE,
    )
    share = -(-settings.MX_CONNECTIONS // workers)
    return to_domains(Exchanges(resolver(), site), _listener(tls), share)


def _listener(tls: TLS) -> Hop | None:
    """Our own, as somebody on this machine reaches it."""
    if not settings.SMTP_BIND:
        return None
    host, _, port = settings.SMTP_BIND.rpartition(":")
    host = _LOOPBACK.get(host.strip("[]"), host.strip("[]"))
    return Hop(host, int(port), tls=tls, helo=settings.SMTP_HOSTNAME)
