"""The few threads in which the database is asked, never on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from smtpd import replies
from smtpd.replies import Reply
from smtpd.statements import Hints

log = logging.getLogger(__name__)
T = TypeVar("T")

# A connection that was used in this time is not asked whether it still works.
REST_SECONDS = 5.0
# More threads would only be in each other's way, for one of them runs Python and
# the others wait to...
QUICK = 2
# ...but when all have been at it for so long, they wait for the database.
LONG_SECONDS = 0.05
# What somebody waits for an answer; longer than SQLite waits for its lock.
DATABASE_SECONDS = 25.0


@contextlib.asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """Raise OperationalError when the database says nothing for so long."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise OperationalError(f"no answer in {seconds:g} s") from error


class Threads:
    """A bounded pool; each thread keeps a connection of its own."""

    def __init__(self, size: int, seconds: float = DATABASE_SECONDS) -> None:
        # How long an answer may take, the wait for a thread included.
        self.seconds = seconds
        self._quick = ThreadPoolExecutor(QUICK, thread_name_prefix="smtpd")
        # For large messages, and for everything while the others are stuck.
        self._spare = ThreadPoolExecutor(
            max(1, size - QUICK), thread_name_prefix="smtpd-spare"
        )
        # By thread: since when a quick one is at it, 0 when it is not...
        self._busy_since: dict[int, float] = {}
        # ...its connection, and when that was used last.
        self._open: dict[int, BaseDatabaseWrapper] = {}
        self._used_at: dict[int, float] = {}
        self._hints: defaultdict[int, Hints] = defaultdict(Hints)

    async def run(
        self, work: Callable[[], T], *, twice: bool = False, is_long: bool = False
    ) -> T:
        """Run work in a thread; `twice` again when its connection was dead.

        A caller that is cancelled, or waited too long, leaves work that has begun
        running to its end; other work is dropped.
        """
        loop = asyncio.get_running_loop()
        if is_long or self._is_stuck():
            future = loop.run_in_executor(self._spare, self._run, work, twice)
        else:
            future = loop.run_in_executor(self._quick, self._run_quick, work, twice)
        async with in_time(self.seconds):
            return await future

    def close(self) -> None:
        """Wait for what runs and take no more."""
        self._quick.shutdown(wait=True)
        self._spare.shutdown(wait=True)
        for wrapper in self._open.values():
            # Its thread has ended.
            wrapper.inc_thread_sharing()
            wrapper.close()

    def _is_stuck(self) -> bool:
        late = time.monotonic() - LONG_SECONDS
        stuck = [since for since in self._busy_since.values() if 0 < since < late]
        return len(stuck) >= QUICK

    def _run_quick(self, work: Callable[[], T], twice: bool) -> T:
        thread = threading.get_ident()
        self._busy_since[thread] = time.monotonic()
        try:
            return self._run(work, twice)
        finally:
            self._busy_since[thread] = 0.0

    def _run(self, work: Callable[[], T], twice: bool) -> T:
        """Ask whether the connection still works when it rested for a while."""
        thread = threading.get_ident()
        has_rested = time.monotonic() - self._used_at.get(thread, 0.0) > REST_SECONDS
        try:
            if has_rested:
                close_old_connections()
                self._open[thread] = connections[DEFAULT_DB_ALIAS]
            found = work()
        except (InterfaceError, OperationalError):
            connections.close_all()
            if not twice:
                raise
            found = work()
        finally:
            self._used_at[thread] = time.monotonic()
        if has_rested:
            self._hints[thread].tell()
        return found


def trouble(error: Exception, peer: str) -> Reply:
    """Log what went wrong under an id; the reply tells only the id.

    Our trouble is never the sender's fault: always a 451.
    """
    name = secrets.token_hex(4)
    if isinstance(error, Error | OSError):
        log.error("trouble id=%s peer=%s error=%r", name, peer, str(error))
    else:
        log.error("trouble id=%s peer=%s", name, peer, exc_info=error)
    return replies.TEMP_TROUBLE.fill(id=name)
