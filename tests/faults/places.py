"""Where the load is sent, and who is owed a copy of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.stack import Stack

DOMAIN = "lists.localhost"


@dataclass(frozen=True)
class Place:
    """An address of the site, how often it is written to, and who is behind it."""

    address: str
    weight: int
    owed: frozenset[str]
    # Who may get one or not: nobody can tell.
    may: frozenset[str] = frozenset()


def people(name: str, count: int) -> frozenset[str]:
    return frozenset(f"{name}{number}@people.test" for number in range(count))


# Nobody is behind two of them, but for the aliases of a list.
_LISTS = {"pair": (30, 2), "crew": (10, 12), "crowd": (4, 50), "town": (1, 200)}
_ALIASES = 6
_IMPORTS = "from io import StringIO\nfrom django.core.management import call_command"


def make_places(stack: Stack) -> list[Place]:
    """Found the lists and aliases; the demonstration's domain has to be there."""
    places, commands = [], list[str]()
    for name, (weight, size) in _LISTS.items():
        place = Place(f"{name}@{DOMAIN}", weight, people(name, size))
        commands += founding(stack, place.address, place.owed)
        places.append(place)
    crew = next(place for place in places if place.address.startswith("crew@"))
    for address, weight, targets, owed in _aliases(crew):
        commands.append(f"'addalias', {address!r}, *{sorted(targets)}")
        places.append(Place(address, weight, owed))
    call(stack, commands)
    return places


def founding(
    stack: Stack, address: str, members: Iterable[str], *settings: str, owner: str = ""
) -> list[str]:
    """What to call for a list that takes mail from anyone, unless told otherwise."""
    told = ["posters=anyone", *settings]
    file = stack.data / f"{address}.txt"
    file.write_text("\n".join(sorted(members)))
    return [
        f"'addlist', {address!r}, set={told!r}, owner={owner!r}",
        f"'addmembers', {address!r}, {str(file)!r}",
    ]


def call(stack: Stack, commands: Iterable[str]) -> None:
    """Run management commands, all in one process."""
    calls = (f"call_command({command}, stdout=StringIO())" for command in commands)
    stack.manage("shell", "-v0", stdin="\n".join((_IMPORTS, *calls)))


def _aliases(
    crew: Place,
) -> Iterator[tuple[str, int, frozenset[str], frozenset[str]]]:
    """Address, weight, targets and who is owed a copy."""
    for number in range(_ALIASES):
        targets = people(f"target{number}x", 1 + number)
        yield f"alias{number}@{DOMAIN}", 5, targets, targets
    # One of a list, and somebody elsewhere.
    elsewhere = frozenset({"elsewhere@people.test"})
    address = f"everybody@{DOMAIN}"
    yield address, 5, elsewhere | {crew.address}, elsewhere | crew.owed


def choose(places: Sequence[Place], chance: random.Random) -> list[Place]:
    """One of them mostly, sometimes up to three."""
    weights = [place.weight for place in places]
    count = chance.choices((1, 2, 3), (8, 1, 1))[0]
    chosen = chance.choices(places, weights, k=count)
    return list(dict.fromkeys(chosen))
