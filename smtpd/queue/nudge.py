"""Tell a Celery worker that there is something to look at. Never the truth.

The caller is never kept waiting and never fails: publishing happens in a
thread behind the commit, and when the broker is down the sweep finds the row.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

# A nudge that nobody had time for in so many seconds is dropped: the sweep sends
# another, and they must not pile up. It is the same for all that mail brings: one
# that waits longer is carried out while those behind it are dropped, and behind a
# pile of posts to fan out nothing would be sent.
PATIENCE = 4
# The same nudge again within this time is published once, at its end.
_WINDOW = 0.1
_FLUSH_AT_EXIT = 1.0
_SILENCE = 60.0

_Key = tuple[str, tuple[int | str, ...]]


def nudge(task: Task[Any, Any], *args: int | str) -> None:
    """Run a task soon after this transaction's commit, or never if it fails.

    A hint: equal nudges may become one, and one may be lost with the broker.
    """
    transaction.on_commit(partial(_publisher.put, task, args))


class _Publisher:
    """A queue and a daemon thread of this process that empties it."""

    def __init__(self) -> None:
        self._start_over()
        self._silent_until = 0.0

    def _start_over(self) -> None:
        """A forked child has the parent's queue and lock but not its thread."""
        self._pid = os.getpid()
        self._waiting: dict[_Key, Callable[[], object]] = {}
        self._published_at: dict[_Key, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_ending = False

    def put(self, task: Task[Any, Any], args: tuple[int | str, ...]) -> None:
        """Queue a nudge; returns at once."""
        if self._pid != os.getpid():
            self._start_over()
        publish = partial(task.apply_async, args, retry=False, ignore_result=True)
        with self._changed:
            self._waiting[(task.name, args)] = publish
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="nudge", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def flush(self) -> None:
        """Give what is queued a second to go out: the process ends."""
        if self._pid != os.getpid() or self._thread is None:
            return
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(_FLUSH_AT_EXIT)

    def _run(self) -> None:
        while (key := self._next()) is not None:
            publish = self._waiting.pop(key)
            self._published_at[key] = time.monotonic()
            self._publish(key, publish)

    def _next(self) -> _Key | None:
        """Wait for a nudge whose window is over; None when the process ends."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._forget(now)
                for key in self._waiting:
                    if self._is_ending or key not in self._published_at:
                        return key
                if self._is_ending:
                    return None
                self._changed.wait(self._sleep(now))

    def _forget(self, now: float) -> None:
        """Windows that are over; the oldest stand first."""
        for key, at in list(self._published_at.items()):
            if at + _WINDOW > now:
                break
            del self._published_at[key]

    def _sleep(self, now: float) -> float | None:
        if not self._waiting:
            return None
        first = min(self._published_at[key] for key in self._waiting)
        return max(0.001, first + _WINDOW - now)

    def _publish(self, key: _Key, publish: Callable[[], object]) -> None:
        try:
            publish()
        except (OperationalError, OSError) as error:
            self._complain(key, error)
        except Exception:
            logger.exception("nudge=%s state=lost", key[0])

    def _complain(self, key: _Key, error: Exception) -> None:
        """A broker that is down is one fact, not one a nudge."""
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + _SILENCE
            logger.warning("nudge=%s state=lost reason=%s", key[0], error)


_publisher = _Publisher()
atexit.register(_publisher.flush)
