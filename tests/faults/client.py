"""A mail client by hand, so that it can break off anywhere."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Self

# Whatever happens, a reply comes within this (F14), if only a 451.
PATIENCE = 30.0


class Gone(Exception):
    """The server is not there, or has hung up without a word."""


class Client:
    """One connection; a context manager that hangs up."""

    def __init__(self, port: int, seconds: float = PATIENCE) -> None:
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        except OSError as error:
            raise Gone(repr(error)) from error
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
            self.socket.close()

    def write(self, data: bytes) -> None:
        """Send octets as they are."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone(repr(error)) from error

    def read(self) -> tuple[int, str]:
        """Read one reply, of several lines or not: its code and last line."""
        while True:
            try:
                line = self.file.readline(4096)
            except OSError as error:
                raise Gone(repr(error)) from error
            if not line.endswith(b"\n"):
                raise Gone("end of file")
            if line[3:4] != b"-":
                return int(line[:3]), str(line.strip(), "utf-8")

    def ask(self, command: str) -> tuple[int, str]:
        """Say a command and read the reply."""
        self.write(command.encode() + b"\r\n")
        return self.read()

    def hello(self) -> tuple[int, str]:
        """Read the greeting and say EHLO."""
        code, text = self.read()
        return (code, text) if code != 220 else self.ask("EHLO load.test")

    def half_close(self) -> None:
        """Say that nothing more will come; what comes back is still read."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone(repr(error)) from error

    def reset(self) -> None:
        """Hang up so that the server's next octet meets a reset."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.file.close()
        self.socket.close()


def stuffed(raw: bytes) -> bytes:
    """Content as DATA wants it (RFC 5321 4.5.2), without the final dot."""
    return (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]
