"""A time limit that is moved often and armed seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from smtpd.listener.deadline import Deadline


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(work)


def test_a_block_that_takes_too_long_is_ended() -> None:
    async def work() -> None:
        limit = Deadline()
        with pytest.raises(TimeoutError):
            async with limit.until(asyncio.get_running_loop().time()):
                await asyncio.Event().wait()
        # And can be used again.
        async with limit.until(asyncio.get_running_loop().time() + 60):
            await asyncio.sleep(0)
        limit.close()

    run(work())


def test_a_later_limit_lets_the_block_go_on() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        limit, done = Deadline(), asyncio.Event()
        # The timer of the first block is still armed when the second runs.
        async with limit.until(loop.time() + 0.01):
            pass
        async with limit.until(loop.time() + 60):
            loop.call_later(0.05, done.set)
            await done.wait()

    run(work())


def test_a_block_under_way_can_be_given_less_time() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        limit = Deadline()
        loop.call_soon(lambda: limit.move(loop.time()))
        with pytest.raises(TimeoutError):
            async with limit.until(loop.time() + 60):
                await asyncio.Event().wait()
        assert not limit.is_running

    run(work())


def test_nothing_is_ended_between_two_blocks() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        limit = Deadline()
        async with limit.until(loop.time()):
            pass
        limit.move(loop.time())
        await asyncio.sleep(0.01)

    run(work())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def block() -> None:
        async with Deadline().until(asyncio.get_running_loop().time() + 60):
            await asyncio.Event().wait()

    async def work() -> None:
        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())
