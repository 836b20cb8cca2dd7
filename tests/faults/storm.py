"""What breaks when: drawn from a seed, so that it can be told and repeated."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Blow:
    """One fault: at which second of the storm, which, and for how long."""

    at: float
    name: str
    lasts: float

    def __str__(self) -> str:
        return f"{self.at:6.2f} s  {self.name}  for {self.lasts:.2f} s"


# Brings a fault about and, when it is over, takes it back.
Strike = Callable[[Blow], None]


def plan(
    seed: int,
    seconds: float,
    kinds: Mapping[str, tuple[float, float]],
    *,
    every: tuple[float, float] = (1.0, 3.0),
) -> list[Blow]:
    """Draw a schedule: of each kind at least one, with bounds of how long.

    `every` bounds the calm between two blows.
    """
    chance = random.Random(seed)
    blows: list[Blow] = []
    now, due = chance.uniform(*every), list(kinds)
    chance.shuffle(due)
    while now < seconds or due:
        name = due.pop() if due else chance.choice(list(kinds))
        blow = Blow(now, name, chance.uniform(*kinds[name]))
        blows.append(blow)
        now += blow.lasts + chance.uniform(*every)
    return blows


def strike(blows: Sequence[Blow], how: Mapping[str, Strike]) -> None:
    """Have the storm; blows that come late because one took long follow at once."""
    began = time.monotonic()
    for blow in blows:
        time.sleep(max(0.0, began + blow.at - time.monotonic()))
        how[blow.name](blow)
