"""One SMTP session, and how long each reply took."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Self

HEAD = (
    b"From: Olga <olga@example.org>\r\nTo: %s\r\nSubject: tea\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@bench.test>\r\n\r\n"
)
LINE = b"All work and no play makes Jack a dull boy, says the proverb of old.\r\n"
SENDER = "olga@example.org"
PATIENCE = 120


def message(address: str, name: str, size: int) -> bytes:
    """A text of about this size that no server has seen before."""
    head = HEAD % (address.encode(), name.encode())
    return head + LINE * max(1, (size - len(head)) // len(LINE))


class Dialogue:
    """A client that waits for each reply."""

    def __init__(self, port: int) -> None:
        # Seconds, in the order of the replies.
        self.waits: list[float] = []
        self._began = time.perf_counter()
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")
        self._expect(b"2")
        self.say("EHLO bench.test")

    def say(self, line: str, *, expect: bytes = b"2") -> float:
        """Send a command; return the seconds to its reply."""
        return self.send(line.encode() + b"\r\n", expect=expect)

    def send(self, data: bytes, *, expect: bytes = b"2") -> float:
        """Send octets; return the seconds from the first one to the reply."""
        self._began = time.perf_counter()
        self._socket.sendall(data)
        return self._expect(expect)

    def open(self, *recipients: str) -> None:
        """MAIL and RCPT."""
        self.say(f"MAIL FROM:<{SENDER}>")
        for recipient in recipients:
            self.say(f"RCPT TO:<{recipient}>")

    def post(self, address: str, raw: bytes) -> None:
        """Have one message taken."""
        self.open(address)
        self.say("DATA", expect=b"3")
        self.send(raw + b".\r\n")

    def _expect(self, code: bytes) -> float:
        line = self._replies.readline()
        while line[3:4] == b"-":
            line = self._replies.readline()
        self.waits.append(time.perf_counter() - self._began)
        assert line.startswith(code), line
        return self.waits[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._replies.close()
        self._socket.close()
