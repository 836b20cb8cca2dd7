"""The few threads in which the database is asked, never on the event loop."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import (
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
)

from smtpd import replies
from smtpd.replies import Reply

log = logging.getLogger(__name__)
T = TypeVar("T")


class Threads:
    """A bounded pool; fewer threads than the database gives us connections."""

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="smtpd")

    async def run(self, work: Callable[[], T], *, twice: bool = False) -> T:
        """Run work in a thread; `twice` again when its connection was dead.

        A caller that is cancelled leaves the work running to its end.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, _run, work, twice)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Wait for what runs and take no more."""
        self._pool.shutdown(wait=True)


def _run(work: Callable[[], T], twice: bool) -> T:
    close_old_connections()
    try:
        return work()
    except (InterfaceError, OperationalError):
        if not twice:
            raise
        connections.close_all()
        return work()
    finally:
        close_old_connections()


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
