"""One connection: bytes out, replies in, within bounds of time and size."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from smtpd.outbound.results import Reply

# RFC 5321 4.5.3.1.5 allows 512 octets a line; nobody honest needs more than
# this for a whole reply.
_MAX_REPLY = 32 * 1024
_MAX_UNREAD = 200
_TICK = 1.0
_QUIT = 5.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for each reply (RFC 5321 4.5.3.2)."""

    connect: float = 30
    greeting: float = 300
    command: float = 300
    data: float = 120
    # From our last byte: what the server does with the message takes time.
    dot: float = 600
    # For a whole transaction, so that a lease outlasts it.
    transaction: float = 900


class Lost(Exception):
    """The connection is gone or of no more use; the text says why."""


class Wire(asyncio.Protocol):
    """Replies in the order they came. A reply that breaks the rules ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._replies: deque[Reply] = deque()
        self._half = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.lost: Lost | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called again when TLS takes over."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._tick is None:
            self._tick = self._loop.call_later(_TICK, self._watch)

    def data_received(self, data: bytes) -> None:
        """Cut what came into lines, and lines into replies."""
        *lines, self._half = (self._half + data).split(b"\n")
        for line in lines:
            self._line(line)
        self._size += len(data)
        if self._size > _MAX_REPLY or len(self._replies) > _MAX_UNREAD:
            self.end("a reply without end")
        if self._waiter is not None and self._replies:
            self._wake()

    def _line(self, line: bytes) -> None:
        line = line.rstrip(b"\r")
        code, mark = line[:3], line[3:4]
        if not (len(code) == 3 and code.isdigit() and mark in b" -"):
            self.end("a line that is no reply")
            return
        self._lines.append(line[4:])
        if mark != b"-":
            self._replies.append(Reply(int(code), tuple(self._lines)))
            self._lines.clear()
            self._size = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed, or we did."""
        self._lose(f"connection lost: {exc}" if exc else "connection closed")

    @property
    def is_quiet(self) -> bool:
        """Open, and nothing said that we did not ask for."""
        return self.lost is None and not self._replies and not self._half

    @property
    def transport(self) -> asyncio.Transport:
        """Only while it is open."""
        assert self._transport is not None
        return self._transport

    def write(self, data: bytes) -> None:
        """Send without waiting; what cannot be sent shows in the next reply."""
        if self.lost is None:
            self.transport.write(data)

    async def reply(self, seconds: float, until: float | None = None) -> Reply:
        """The next reply; raise Lost when there will be none in time."""
        if not self._replies:
            if self.lost is not None:
                raise self.lost
            deadline = self._loop.time() + seconds
            self._deadline = deadline if until is None else min(deadline, until)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    async def ask(self, line: bytes, seconds: float) -> Reply:
        """One command, one reply."""
        self.write(line + b"\r\n")
        return await self.reply(seconds)

    def end(self, reason: str) -> None:
        """Drop the connection at once; whoever waits gets Lost."""
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say QUIT and leave (RFC 5321 4.1.1.10)."""
        if self.lost is None:
            with suppress(Lost):
                await self.ask(b"QUIT", _QUIT)
        self.end("closed by us")

    def _lose(self, reason: str) -> None:
        if self.lost is None:
            self.lost = Lost(reason)
        if self._tick is not None:
            self._tick.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self.lost)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _watch(self) -> None:
        """One timer a connection is cheaper than one a reply."""
        now = self._loop.time()
        if self._waiter is not None and now >= self._deadline:
            self.end("no reply in time")
            return
        rest = self._deadline - now if self._waiter is not None else _TICK
        self._tick = self._loop.call_later(min(_TICK, rest), self._watch)
