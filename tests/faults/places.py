"""Where the load is sent, and who is owed a copy of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.stack import Stack

DOMAIN = "lists.localhost"


@dataclass(frozen=True)
class Place:
    """An address of the site, how often it is written to, and who is behind it."""

    address: str
    weight: int
    owed: frozenset[str]


def _people(name: str, count: int) -> frozenset[str]:
    return frozenset(f"{name}{number}@people.test" for number in range(count))


# Nobody is behind two of them, but for the aliases of a list.
_LISTS = {"pair": (30, 2), "crew": (10, 12), "crowd": (4, 50), "town": (1, 200)}
_ALIASES = 6


def make_places(stack: Stack) -> list[Place]:
    """Found the lists and aliases; the demonstration's domain has to be there."""
    places = []
    for name, (weight, size) in _LISTS.items():
        address, members = f"{name}@{DOMAIN}", _people(name, size)
        stack.manage("addlist", address, "--set", "posters=anyone")
        stack.manage("addmembers", address, "-", stdin="\n".join(sorted(members)))
        places.append(Place(address, weight, members))
    for number in range(_ALIASES):
        address, targets = (
            f"alias{number}@{DOMAIN}",
            _people(f"target{number}x", 1 + number),
        )
        stack.manage("addalias", address, *sorted(targets))
        places.append(Place(address, 5, targets))
    # An alias of a list, and one outside.
    crew = next(place for place in places if place.address.startswith("crew@"))
    elsewhere = frozenset({"elsewhere@people.test"})
    address = f"everybody@{DOMAIN}"
    stack.manage("addalias", address, crew.address, *elsewhere)
    places.append(Place(address, 5, crew.owed | elsewhere))
    return places


def choose(places: Sequence[Place], chance: random.Random) -> list[Place]:
    """One of them mostly, sometimes up to three."""
    weights = [place.weight for place in places]
    count = chance.choices((1, 2, 3), (8, 1, 1))[0]
    chosen = chance.choices(places, weights, k=count)
    return list(dict.fromkeys(chosen))
