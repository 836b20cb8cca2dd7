"""Between accept and greeting: who comes, and do they wait for us to speak."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import TypeAlias

from smtpd.listener import proxy

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Read a comma-separated list, as settings have it; raise ValueError."""
    words = (word.strip() for word in text.split(","))
    return tuple(ipaddress.ip_network(word) for word in words if word)


def is_within(peer: str, places: Sequence[Network]) -> bool:
    """Whether a peer is in one of the networks; nobody on a unix socket is."""
    if not peer or not places:
        return False
    address = ipaddress.ip_address(peer)
    return any(address in place for place in places)


def is_stranger(peer: str) -> bool:
    """Whether a peer is another machine."""
    return bool(peer) and not ipaddress.ip_address(peer).is_loopback


async def announced(transport: asyncio.BaseTransport) -> str:
    """Read the header of a trusted proxy; "" when it brings nobody but itself.

    The transport must not read: what stands behind the header may be the
    start of a TLS handshake. Raise OSError or proxy.BadHeader.
    """
    sock: socket.socket = transport.get_extra_info("socket").dup()
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    header = b""
    try:
        while more := proxy.wanted(header):
            octets = await loop.sock_recv(sock, more)
            if not octets:
                raise ConnectionError("closed before its header was whole")
            header += octets
    finally:
        sock.close()
    return proxy.client(header)


async def speaks_first(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether a client talks while it should listen (RFC 5321 4.3.1)."""
    if not seconds:
        return False
    try:
        async with asyncio.timeout(seconds):
            return bool(await reader.read(1))
    except TimeoutError:
        return False
