"""From the supervisor to a part: what its child does behind fork(2).

The child leaves what the supervisor was doing (`Born` is raised up to `main`),
ties itself to its parent, puts the sockets of mail where they are looked for,
and becomes the part: with all that is loaded already, which it shares with the
other parts, or as a new program from the code that is there now.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from dataclasses import dataclass
from typing import NoReturn

from project.supervisor import sockets

# Those the supervisor hears; the child begins with none of them lost.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True)
class Life:
    """What the child is to become, and whose child it is."""

    name: str
    argv: tuple[str, ...]
    # What sockets.as_words says of those it takes over.
    sockets: str
    # A program of its own, from the code on the disk.
    is_fresh: bool
    parent: int
    # Where its output goes.
    output: int


class Born(BaseException):
    """We are the child: leave the supervisor's loop."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.name)
        self.life = life


def begin(life: Life) -> None:
    """First thing in the child: signals, session and output of its own."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ctrl-C in our terminal is the supervisor's to hand on.
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for at, descriptor in enumerate((nothing, life.output, life.output)):
        os.dup2(descriptor, at)


def live(life: Life) -> NoReturn:
    """Become the part. Nothing of the supervisor's may be in use any more."""
    _tie(life)
    first = sockets.FIRST + sockets.take_over(life.sockets)
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
    program, *argv = life.argv
    if life.is_fresh:
        os.execv(program, life.argv)  # noqa: S606 - our own plan, no shell
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")
    raise SystemExit(0)


def _tie(life: Life) -> None:
    """Linux sends us a SIGTERM when our parent is gone, even by kill -9.

    The tie survives exec.
    """
    call_us(life.name)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != life.parent:
        # It was gone before we could tie ourselves to it.
        raise SystemExit(0)


def call_us(name: str) -> None:
    """What `ps -e`, `top` and `pgrep` show; Linux keeps 15 letters of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
