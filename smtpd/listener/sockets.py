"""Bound sockets for a listener: TCP ports to share, one unix socket to own."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

# sockaddr_un.sun_path on Linux, with its final NUL.
UNIX_PATH_OCTETS = 108


def tcp(bind: str) -> list[socket.socket]:
    """Bind `host:port` or `[v6]:port`, on every address the host name has.

    Several processes may bind the same port: the kernel spreads the clients.
    """
    host, _, port = bind.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]") or None,
        int(port),
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    return [_bind(family, address) for family, _, _, _, address in found]


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


class OwnedSocket:
    """A unix socket that one process at a time answers on.

    The lock dies with its process, so the next one takes over by itself; the
    name in the file system may outlive both and is replaced. A shared
    one is for whoever may enter its folder, any other for its owner.
    """

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        if len(os.fsencode(path)) >= UNIX_PATH_OCTETS:
            raise OSError(f"{path} is too long for a unix socket")
        self.path = path
        self._mode = 0o666 if is_shared else 0o600
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def bind(self) -> socket.socket | None:
        """Return the bound socket, or None while another process has it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        self.path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(self.path))
        self.path.chmod(self._mode)
        return sock

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)
