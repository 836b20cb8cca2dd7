"""A real listener on a loopback port, and a client that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smtpd.listener.blocklists import Blocklists
from smtpd.listener.limits import Limits
from smtpd.listener.policies import Policy
from smtpd.listener.server import Listener
from smtpd.listener.service import Service
from smtpd.listener.sockets import tcp

PATIENCE = 20.0
OPEN = b"EHLO c.test\r\nMAIL FROM:<sam@c.test>\r\nRCPT TO:<talk@l.test>\r\nDATA\r\n"


class Running:
    """A listener with its event loop in a thread of its own."""

    def __init__(
        self,
        policy: Policy | Service,
        folder: Path,
        *,
        limits: Limits | None = None,
        tls_context: ssl.SSLContext | None = None,
        blocklists: Blocklists | None = None,
    ) -> None:
        self.service = policy if isinstance(policy, Service) else Service(policy)
        self.folder = folder
        self.limits = limits or Limits(grace_seconds=5)
        self.tls_context = tls_context
        self.blocklists = blocklists
        self.port = 0
        # What went wrong behind the clients' backs: nothing ever should.
        self.faults: list[dict[str, Any]] = []
        self.listener: Listener
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, what: self.faults.append(what))
        self._stop = asyncio.Event()
        self.listener = Listener(
            hostname="mx.test",
            limits=self.limits,
            folder=self.folder,
            tls_context=self.tls_context,
            blocklists=self.blocklists,
        )
        (sock,) = tcp("127.0.0.1:0")
        self.port = sock.getsockname()[1]
        await self.listener.listen(sock, self.service)
        self._is_up.set()
        await self._stop.wait()
        await self.listener.stop()
        # A task that failed is reported when it is thrown away.
        gc.collect()

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(PATIENCE)

    def begin_stop(self) -> None:
        # It may be over already.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)

    def wait(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self.faults == []

    def connect(self) -> Client:
        return Client(("127.0.0.1", self.port))

    @property
    def connections(self) -> int:
        return len(self.listener._connections)


@contextmanager
def listening(
    policy: Policy | Service,
    folder: Path,
    *,
    limits: Limits | None = None,
    tls_context: ssl.SSLContext | None = None,
    blocklists: Blocklists | None = None,
) -> Iterator[Running]:
    running = Running(
        policy, folder, limits=limits, tls_context=tls_context, blocklists=blocklists
    )
    running.start()
    try:
        yield running
    finally:
        running.begin_stop()
        running.wait()


class Client:
    """A raw SMTP client; every read has a deadline."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        is_unix = isinstance(address, str)
        self.sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(PATIENCE)
        self._read = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> str:
        """The next line; "" at the end."""
        while b"\r\n" not in self._read:
            data = self.sock.recv(65536)
            if not data:
                assert not self._read
                return ""
            self._read += data
        line, _, self._read = self._read.partition(b"\r\n")
        return line.decode("ascii")

    def reply(self) -> str:
        """The next reply, its lines joined by newlines; "" at the end."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def replies(self, count: int) -> list[str]:
        """The code and enhanced code of the next replies."""
        return [" ".join(self.reply().split()[:2]) for _ in range(count)]

    def ask(self, octets: bytes) -> str:
        self.say(octets)
        return self.reply()

    def open(self) -> None:
        """Go on until the content of a message may come."""
        assert self.reply().startswith("220 ")
        self.say(OPEN)
        assert self.replies(4)[3].startswith("354")

    def is_quiet(self, seconds: float) -> bool:
        """Whether the server says nothing for so long."""
        readable, _, _ = select.select([self.sock], [], [], seconds)
        return not readable

    def is_hung_up(self) -> bool:
        """Whether the server closes, or cuts us off, without a word."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: the server sees RST, not FIN."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a fact, not longer than anybody has patience for."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.01)
