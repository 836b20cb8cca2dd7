"""One part's process: start it, start it again, stop it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

from project.supervisor import sockets
from project.supervisor.lines import Lines
from project.supervisor.plan import ENVIRONMENT, Part
from project.supervisor.sockets import Bound

# A part that lived this long had no trouble starting.
_STEADY = 60.0
_FIRST, _LONGEST = 0.5, 30.0
_READY = re.compile(r"smtpd ready on ")


def pause(failures: int) -> float:
    """Return the seconds to wait before the next start: 0.5, 1, 2 ... 30."""
    return min(_LONGEST, _FIRST * 2.0 ** min(failures - 1, 16))


class Child:
    """A part and the process that is it now, if any."""

    def __init__(self, part: Part, bound: Bound = ()) -> None:
        self.part = part
        self.bound = bound
        # A listener has said that it answers.
        self.is_ready = False
        self.process: subprocess.Popen[bytes] | None = None
        self.lines = Lines()
        self.failures = 0
        self.start_at = 0.0
        self._started_at = 0.0

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def start(self) -> int:
        """Start the process; return the descriptor of its output."""
        tether = (sys.executable, "-m", "project.supervisor.tether")
        ties = (str(os.getpid()), sockets.as_words(self.bound))
        # A session of its own: Ctrl-C in our terminal is ours to hand on.
        self.process = subprocess.Popen(  # noqa: S603 - our own plan, no shell
            (*tether, *ties, *self.part.argv),
            pass_fds=[sock.fileno() for _, sock in self.bound],
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.is_ready = False
        self._started_at = time.monotonic()
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout.fileno()

    def read(self) -> list[str] | None:
        """Return whole lines of output; None when there is no more to come."""
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            data = os.read(self.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return []
        said = self.lines.feed(data) if data else None
        self.is_ready = self.is_ready or any(map(_READY.match, said or ()))
        return said

    def reap(self) -> int | None:
        """Return the exit code if it ended, and make sure all of it is gone."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self._signal_group(signal.SIGKILL)
        return code

    def forget(self) -> None:
        """Close what is left of an ended process and plan the next start."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        self.lines = Lines()
        lived = time.monotonic() - self._started_at
        self.failures = 1 if lived > _STEADY else self.failures + 1
        self.start_at = time.monotonic() + pause(self.failures)

    def stop(self) -> None:
        """Ask it to end; a worker ends the task in hand first."""
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and its own children now."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
