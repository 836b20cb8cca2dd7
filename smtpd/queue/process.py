"""The one worker of this process."""

from __future__ import annotations

import atexit
import os
import threading

from smtpd.queue import ways
from smtpd.queue.worker import Worker

_lock = threading.Lock()
_workers: dict[int, Worker] = {}


def deliver() -> bool:
    """Send for a while; True when there may be more to do at once."""
    return _worker().serve()


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
