from __future__ import annotations

import asyncio

import pytest

from smtpd.listener.turns import Turns

AT_ONCE = 2


async def rounds_of(count: int, octets: int) -> tuple[list[int], list[int]]:
    """How many came through in each round of the loop, and in which order."""
    turns = Turns(AT_ONCE)
    through: list[int] = []

    async def work(number: int) -> None:
        await turns.wait(octets)
        through.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(count)]
    rounds = []
    while len(through) < count:
        before = len(through)
        await asyncio.sleep(0)
        rounds.append(len(through) - before)
    await asyncio.gather(*tasks)
    return rounds, through


def test_few_come_through_in_one_round_and_in_order() -> None:
    rounds, through = asyncio.run(rounds_of(9, Turns.MUCH))
    assert max(rounds) <= AT_ONCE
    assert through == list(range(9))


def test_little_waits_for_nobody() -> None:
    rounds, _ = asyncio.run(rounds_of(9, Turns.MUCH - 1))
    assert rounds == [9]


def test_who_leaves_while_waiting_keeps_nobody_back() -> None:
    async def leave() -> None:
        turns = Turns(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await turns.wait(Turns.MUCH)
        await turns.wait(Turns.MUCH)

    asyncio.run(leave())
