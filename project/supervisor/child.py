"""One part's process: start it, start it again, stop it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

from project.supervisor import sockets
from project.supervisor.life import SIGNALS, Born, Life, begin
from project.supervisor.lines import Lines
from project.supervisor.plan import Part
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

    def __init__(
        self, part: Part, bound: Bound = (), *, is_fresh: bool = False
    ) -> None:
        self.part = part
        self.bound = bound
        # From the code that is there now, not from what the supervisor loaded.
        self.is_fresh = is_fresh
        # A listener has said that it answers.
        self.is_ready = False
        # The process and the descriptor of its output; 0 and -1 when there is none.
        self.pid, self.output = 0, -1
        self.lines = Lines()
        self.failures = 0
        self.start_at = 0.0
        self._started_at = 0.0

    @property
    def is_running(self) -> bool:
        return self.pid != 0

    def start(self) -> int:
        """Start the process; return the descriptor of its output."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        life = Life(
            self.part.name,
            self.part.argv,
            sockets.as_words(self.bound),
            is_fresh=self.is_fresh,
            parent=os.getpid(),
            output=theirs,
        )
        self.pid, self.output = _fork(life), ours
        os.close(theirs)
        self.is_ready = False
        self._started_at = time.monotonic()
        return ours

    def read(self) -> list[str] | None:
        """Return whole lines of output; None when there is no more to come."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return []
        said = self.lines.feed(data) if data else None
        self.is_ready = self.is_ready or any(map(_READY.match, said or ()))
        return said

    def reap(self) -> int | None:
        """Return the exit code if it ended, and make sure all of it is gone."""
        if not self.pid:
            return None
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            return None
        self._signal_group(signal.SIGKILL)
        return os.waitstatus_to_exitcode(status)

    def forget(self) -> None:
        """Close what is left of an ended process and plan the next start."""
        os.close(self.output)
        self.pid, self.output = 0, -1
        self.lines = Lines()
        lived = time.monotonic() - self._started_at
        self.failures = 1 if lived > _STEADY else self.failures + 1
        self.start_at = time.monotonic() + pause(self.failures)

    def stop(self) -> None:
        """Ask it to end; a worker ends the task in hand first."""
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its own children now."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def _fork(life: Life) -> int:
    """Return the child's process; in the child, raise Born."""
    # A signal between the fork and the child's own handlers waits for these.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if not pid:
            begin(life)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if not pid:
        raise Born(life)
    return pid
