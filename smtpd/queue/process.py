"""The one worker of this process."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

from smtpd.queue import ways
from smtpd.queue.worker import Worker

_lock = threading.Lock()
_workers: dict[int, Worker] = {}

# How often to ask for another process while there is more than one should do, and
# for how long this one then takes no task: it must not get its own call.
_CALL_AGAIN, _STAY = 2.0, 0.2
_call_at = 0.0


def deliver() -> bool:
    """Have this process send what is due; it goes on by itself, and returns at once.

    False: it was sending already, and asked for another process a moment ago.
    """
    worker = _worker()
    was_at_rest = worker.is_at_rest
    worker.serve()
    return was_at_rest or time.monotonic() >= _call_at


def call(another: Callable[[], None]) -> None:
    """Ask for one, and leave it to it."""
    global _call_at
    _call_at = time.monotonic() + _CALL_AGAIN
    another()
    time.sleep(_STAY)


def stop() -> None:
    """Give back what this process has in its hands; it ends."""
    with _lock:
        worker = _workers.pop(os.getpid(), None)
        if worker is not None:
            worker.stop()


def _worker() -> Worker:
    """Made at the first use behind a fork: threads do not survive one."""
    pid = os.getpid()
    with _lock:
        if pid not in _workers:
            _workers[pid] = Worker(ways.from_settings())
        return _workers[pid]


atexit.register(stop)
