"""`host:port` as the settings write it: 127.0.0.1:25, [::1]:25 or :25."""

from __future__ import annotations

import os

# sockaddr_un.sun_path on Linux, without its final NUL.
LONGEST_PATH = 107


def split(bind: str) -> tuple[str, int]:
    """Return host and port; an empty host means every address.

    Raises ValueError with a sentence for people when it is neither.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{bind!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{bind!r}: write an IPv6 address in brackets")
    return host, int(port)


def check_path(path: str) -> None:
    """Raise ValueError when the system takes no unix socket of this name."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"{path} is longer than {LONGEST_PATH} bytes")


def reach(bind: str) -> tuple[str, int]:
    """Return where somebody on this machine connects to it."""
    host, port = split(bind)
    wildcards = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return wildcards.get(host, host), port
