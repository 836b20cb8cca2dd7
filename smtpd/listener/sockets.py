"""Bound sockets for a listener: TCP ports to share, unix sockets to own.

Or inherited ones, by the protocol of systemd's sd_listen_fds(3): whoever holds
them beside us keeps their clients waiting, and not refused, while we are away.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the sockets of each door are called, as FileDescriptorName= of systemd.
SMTP, SUBMISSION, SUBMISSIONS = "smtp", "submission", "submissions"
LMTP, LOOKUP, MAILBOX = "lmtp", "lookup", "mailbox"
# What we inherit begins behind standard error.
FIRST_INHERITED = 3
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
# Python 3.13 takes the name of a socket away that others may still listen on.
KEEP_NAME: dict[str, Any] = (
    {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
)
# sockaddr_un.sun_path on Linux, with its final NUL.
UNIX_PATH_OCTETS = 108
# Long enough for asyncio to make a transport.
_ACCEPT_SECONDS = 0.05


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


def listen_environment(pid: int, names: Sequence[str]) -> dict[str, str]:
    """What process `pid` has to find to inherit sockets of these names."""
    values = (str(pid), str(len(names)), ":".join(names))
    return dict(zip(_LISTEN, values, strict=True))


def inherited() -> dict[str, list[socket.socket]]:
    """The sockets somebody bound for this process, by name; once, then none.

    Our own children must not take them for theirs.
    """
    pid, count, names = (os.environ.pop(name, "") for name in _LISTEN)
    found: dict[str, list[socket.socket]] = {}
    if pid != str(os.getpid()):
        return found
    each = names.split(":") if names else [""] * int(count)
    for number, name in enumerate(each, FIRST_INHERITED):
        os.set_inheritable(number, False)
        found.setdefault(name, []).append(socket.socket(fileno=number))
    return found


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


async def close_doors(servers: Sequence[asyncio.Server]) -> None:
    """Accept nobody any more, and see those in who were accepted just now.

    A server that is closed while asyncio makes a connection's transport drops
    the client without a word.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
    await asyncio.sleep(_ACCEPT_SECONDS)
    for server in servers:
        server.close()
