"""The listeners' sockets, bound once and handed to each listener that starts.

As long as we hold them, a client that comes while no listener is there waits
in the kernel's queue instead of being refused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import socket

from smtpd.listener import sockets

# In the order of docs/settings.md.
_BINDS = {
    sockets.SMTP: "SMTP_BIND",
    sockets.SUBMISSION: "SUBMISSION_BIND",
    sockets.SUBMISSIONS: "SUBMISSIONS_BIND",
    sockets.LMTP: "LMTP_BIND",
    sockets.LOOKUP: "LOOKUP_BIND",
}
FIRST = sockets.FIRST_INHERITED
# For whoever may enter the folder: a server in front runs as another user.
_SHARED = (sockets.LMTP, sockets.LOOKUP)

Bound = Sequence[tuple[str, socket]]


def bind(env: Mapping[str, str]) -> Bound:
    """Bind all that the settings name; raise OSError with the setting's name.

    Where another process of ours answers on a unix socket, that is left to the
    listeners: they take over when it ends.
    """
    bound: list[tuple[str, socket]] = []
    for name, setting in _BINDS.items():
        where = env.get(setting, "")
        try:
            bound += [(name, sock) for sock in _sockets(name, where)]
        except OSError as error:
            raise OSError(f"{setting}: cannot listen on {where}: {error}") from error
    if env.get("RELAY") == "mailbox":
        path = f"{env['FOLKMOOT_DATA']}/mailbox.sock"
        bound += [(sockets.MAILBOX, sock) for sock in _owned(sockets.MAILBOX, path)]
    return bound


def _sockets(name: str, where: str) -> list[socket]:
    if not where:
        return []
    return _owned(name, where) if where.startswith("/") else sockets.tcp(where)


def _owned(name: str, path: str) -> list[socket]:
    owned = sockets.OwnedSocket(Path(path), is_shared=name in _SHARED)
    sock = owned.bind()
    if sock is None:
        owned.close()
    return [sock] if sock else []


def as_words(bound: Bound) -> str:
    """What tells `take_over` in a child of ours which descriptors are which."""
    return ",".join(f"{name}={sock.fileno()}" for name, sock in bound)


def take_over(words: str) -> int:
    """In the child: put the descriptors where sd_listen_fds(3) looks for them.

    Return how many there are, from FIRST on.
    """
    pairs = [word.split("=") for word in words.split(",") if word]
    if not pairs:
        return 0
    end = FIRST + len(pairs)
    old = [int(number) for _, number in pairs]
    # Out of the way first: one's old place may be another's new one.
    aside = [fcntl.fcntl(number, fcntl.F_DUPFD, end) for number in old]
    for number in old:
        os.close(number)
    for at, number in enumerate(aside, FIRST):
        os.dup2(number, at)
        os.close(number)
    names = [name for name, _ in pairs]
    os.environ.update(sockets.listen_environment(os.getpid(), names))
    return len(names)
