"""Tie a command to its parent's life, and hand it sockets.

`python -m project.supervisor.tether PID SOCKETS COMMAND...`

Linux sends the command a SIGTERM when process PID, our parent, is gone, even by
kill -9; elsewhere the command just runs. The tie survives exec, so no process of
ours stays between the two.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from project.supervisor import sockets

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie, then become the command."""
    parent, words, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        # It was gone before we could tie ourselves to it.
        raise SystemExit(0)
    sockets.take_over(words)
    os.execv(command[0], command)  # noqa: S606 - our own plan, no shell


if __name__ == "__main__":
    main()
