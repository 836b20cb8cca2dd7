"""Messages stored together: one commit for all that wait at the same time.

A commit waits for the disk, and the more threads wait for it, the more they
are in each other's way. So one writer takes what has gathered, several messages
in one transaction, and every sender hears 250 after the commit that has their
message in it. Another one goes on while a transaction takes long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import InterfaceError, OperationalError, connections, transaction

from smtpd.gathering import gather
from smtpd.listener.threads import LONG_SECONDS, Threads, in_time

log = logging.getLogger(__name__)
T = TypeVar("T")

# At most, and only when the ones there are have to wait for a lock.
WRITERS = 3
TOGETHER = 20


_Item = tuple[Callable[[], T], asyncio.Future[T]]


class Writers(Generic[T]):
    """Runs work that changes the database; each piece as if it were alone."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._waiting: deque[_Item[T]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[[], T]) -> T:
        """Run work and return what it returns once that is committed.

        Work that raises leaves nothing behind, and may have run twice: first
        with others, then alone. A caller that is cancelled, or waited too long,
        leaves work that has begun running; other work is dropped.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        item = (work, future)
        self._waiting.append(item)
        if not self._tasks:
            self._start()
        try:
            async with in_time(self._threads.seconds):
                return await asyncio.shield(future)
        finally:
            if not future.done():
                future.add_done_callback(_let_go)
                if item in self._waiting:
                    self._waiting.remove(item)

    def _start(self) -> None:
        """Have one more writer, if there is work for it."""
        if self._waiting and len(self._tasks) < WRITERS:
            self._tasks.add(asyncio.create_task(self._drain()))

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            count = min(TOGETHER, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            help_comes = loop.call_later(LONG_SECONDS, self._start)
            try:
                await self._store(batch)
            finally:
                help_comes.cancel()
        # Here and now: whoever comes next starts another one.
        task = asyncio.current_task()
        assert task is not None
        self._tasks.discard(task)

    async def _store(self, batch: Sequence[_Item[T]]) -> None:
        works = [work for work, _ in batch]
        answers: Sequence[T | Exception]
        try:
            answers = await self._threads.run(partial(_together, works))
        except Exception as error:  # noqa: BLE001 - each caller's to handle
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _let_go(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: what went wrong was logged for the caller."""
    if not future.cancelled():
        future.exception()


def _together(works: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """In a thread: all in one transaction; or each alone, if one spoils it.

    A commit that failed may have happened: nothing is tried again then.
    """
    if len(works) == 1:
        return [_alone(works[0])]
    is_ready = False
    try:
        with transaction.atomic(durable=True):
            with gather(len(works)):
                answers: list[T | Exception] = [work() for work in works]
            is_ready = True
    except Exception as error:
        if is_ready:
            raise
        log.info("messages=%d are stored one by one error=%r", len(works), error)
        _forget_dead(error)
        return [_alone(work) for work in works]
    return answers


def _alone(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the caller's to handle
        _forget_dead(error)
        return error


def _forget_dead(error: Exception) -> None:
    """A connection that broke is not used again."""
    if isinstance(error, InterfaceError | OperationalError):
        connections.close_all()
