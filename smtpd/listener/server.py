"""All connections of one process: the doors they come in by, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from smtpd.listener.blocklists import Blocklists
from smtpd.listener.connection import Connection
from smtpd.listener.gate import Gate
from smtpd.listener.limits import Limits
from smtpd.listener.service import Service
from smtpd.listener.sockets import KEEP_NAME, close_doors
from smtpd.listener.spool import Room
from smtpd.listener.threads import Threads
from smtpd.listener.turns import Turns
from smtpd.listener.writers import Writers
from smtpd.replies import Reply

log = logging.getLogger(__name__)

BACKLOG = 512


class Listener:
    """Made inside a running loop; `listen` for each socket, `stop` once."""

    def __init__(
        self,
        *,
        hostname: str,
        limits: Limits,
        folder: Path,
        tls_context: ssl.SSLContext | None = None,
        blocklists: Blocklists | None = None,
    ) -> None:
        self.hostname = hostname
        self.limits = limits
        # Where content is spooled; it must exist.
        self.folder = folder
        self.tls_context = tls_context
        self.blocklists = blocklists
        self.threads = Threads(limits.threads, limits.database_seconds)
        self.writers: Writers[Sequence[Reply]] = Writers(self.threads)
        self.is_stopping = False
        # When the last content must have come in.
        self.last_call = float("inf")
        self.gate = Gate(total=limits.connections, of_peer=limits.connections_of_peer)
        self.room = Room(limits.spool_total)
        self._large = asyncio.Semaphore(limits.large_at_once)
        self.turns = Turns(limits.pieces_at_once)
        self._is_full = False
        self._look_again_at = 0.0
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    async def listen(self, sock: socket.socket, service: Service) -> None:
        """Accept on a bound socket; what comes in there is the service's."""
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            return Connection(self, service)

        if service.is_tls and self.tls_context is None:
            raise ValueError("a port with TLS from the start needs TLS_CERT")
        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(
                connection, sock=sock, backlog=BACKLOG, **KEEP_NAME
            )
        else:
            server = await loop.create_server(connection, sock=sock, backlog=BACKLOG)
        self._servers.append(server)

    def note(self, connection: Connection) -> None:
        """Have a connection in the books, so that the end waits for it."""
        self._connections.add(connection)
        self._is_empty.clear()

    def forget(self, connection: Connection) -> None:
        """Have it there no more."""
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    def room_for(self, size: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait until a message of this size may be in memory as a whole."""
        if size <= self.limits.large_message:
            return contextlib.nullcontext()
        return self._large

    def is_full(self) -> bool:
        """Whether the disk of the spool has no room for another message.

        Looked at once a second: a disk does not fill faster than we can say.
        """
        now = time.monotonic()
        if now >= self._look_again_at:
            self._look_again_at = now + 1.0
            self._is_full = self._has_no_room()
        return self._is_full

    def doubt_disk(self) -> None:
        """It would not take a file: look at it again before the next MAIL."""
        self._look_again_at = 0.0

    def _has_no_room(self) -> bool:
        try:
            return shutil.disk_usage(self.folder).free < self.limits.free_space
        except OSError:
            return True

    async def stop(self) -> None:
        """Stop accepting, let messages on their way be finished, then return.

        Idle clients hear 421 at once (RFC 5321 3.8), the others when their
        message is answered or the grace is over. A commit that has begun is
        waited for.
        """
        self.is_stopping = True
        grace = self.limits.grace_seconds
        self.last_call = asyncio.get_running_loop().time() + grace
        await close_doors(self._servers)
        for connection in tuple(self._connections):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * grace):
                await self._is_empty.wait()
        if self._connections:
            log.warning("stopping connections=%d are cut", len(self._connections))
        await asyncio.to_thread(self.threads.close)
