"""The few threads for the database: nobody waits behind those that are stuck."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection

from smtpd.listener.threads import LONG_SECONDS, QUICK, Threads
from smtpd.listener.writers import TOGETHER, WRITERS, Writers
from smtpd.queue.threads import leave_database, safely

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20.0


@pytest.fixture
def gate() -> threading.Event:
    """What stuck work waits for."""
    return threading.Event()


def play(
    main: Callable[[Threads], Coroutine[Any, Any, None]],
    gate: threading.Event | None = None,
) -> None:
    async def whole() -> None:
        threads = Threads(4)
        try:
            async with asyncio.timeout(PATIENCE):
                await main(threads)
        finally:
            if gate is not None:
                gate.set()
            await asyncio.to_thread(threads.close)

    asyncio.run(whole())


def test_others_go_on_while_the_quick_threads_are_stuck(gate: threading.Event) -> None:
    async def main(threads: Threads) -> None:
        stuck = [asyncio.create_task(threads.run(gate.wait)) for _ in range(QUICK)]
        await asyncio.sleep(3 * LONG_SECONDS)
        assert await threads.run(lambda: "answered") == "answered"
        gate.set()
        assert all(await asyncio.gather(*stuck))

    play(main, gate)


def test_what_is_long_takes_no_quick_thread(gate: threading.Event) -> None:
    async def main(threads: Threads) -> None:
        long = asyncio.create_task(threads.run(gate.wait, is_long=True))
        quick = [threads.run(threading.get_ident) for _ in range(20)]
        assert len(set(await asyncio.gather(*quick))) <= QUICK
        gate.set()
        assert await long

    play(main, gate)


def test_another_writer_goes_on_while_one_waits(gate: threading.Event) -> None:
    async def main(threads: Threads) -> None:
        writers: Writers[bool] = Writers(threads)
        begun = threading.Event()

        def wait() -> bool:
            begun.set()
            return gate.wait()

        stuck = asyncio.create_task(writers.run(wait))
        await asyncio.to_thread(begun.wait)
        assert await writers.run(lambda: True)
        assert not stuck.done()
        gate.set()
        assert await stuck

    play(main, gate)


def test_a_writer_that_has_nothing_left_is_followed_by_another() -> None:
    async def main(threads: Threads) -> None:
        writers: Writers[int] = Writers(threads)
        for number in range(50):
            assert await writers.run(partial(int, number)) == number

    play(main)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")
def test_a_connection_is_told_to_use_indexes() -> None:
    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('enable_seqscan')")
            return str(cursor.fetchone()[0])

    def seen() -> tuple[int, str]:
        return threading.get_ident(), setting()

    async def main(threads: Threads) -> None:
        found = [await threads.run(seen) for _ in range(2 * QUICK + 1)]
        known: set[int] = set()
        for thread, value in found:
            # Behind the first work of each thread.
            assert value == "off" or thread not in known
            known.add(thread)
        assert len(known) < len(found)

    play(main)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(safely, setting).result()
        assert pool.submit(safely, setting).result() == "off"
        pool.submit(leave_database).result()


def test_nobody_waits_for_ever_for_a_thread_that_hangs(gate: threading.Event) -> None:
    async def main(threads: Threads) -> None:
        threads.seconds = 0.2
        ran: list[int] = []
        # All threads are stuck; what is behind them is dropped and never runs.
        hung = [threads.run(gate.wait, is_long=bool(n % 2)) for n in range(4)]
        late = [threads.run(partial(ran.append, n)) for n in range(3)]
        answers = await asyncio.gather(*hung, *late, return_exceptions=True)
        assert [type(answer) for answer in answers] == [OperationalError] * 7
        gate.set()
        threads.seconds = PATIENCE
        assert await threads.run(lambda: "answered") == "answered"
        assert not ran

    play(main, gate)


def test_what_waited_too_long_for_a_writer_is_not_stored(
    gate: threading.Event,
) -> None:
    async def main(threads: Threads) -> None:
        threads.seconds = 0.3
        writers: Writers[bool] = Writers(threads)
        stored: list[int] = []

        def store(number: int) -> bool:
            stored.append(number)
            return gate.wait()

        count = WRITERS * TOGETHER + 5
        works = (writers.run(partial(store, n)) for n in range(count))
        answers = await asyncio.gather(*works, return_exceptions=True)
        assert [type(answer) for answer in answers] == [OperationalError] * count
        gate.set()
        threads.seconds = PATIENCE
        assert await writers.run(lambda: True)
        assert set(stored) <= set(range(WRITERS * TOGETHER))

    play(main, gate)
