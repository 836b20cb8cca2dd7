"""From an address to all it stands for: pure, level by level, bounded.

The caller says how to look up a whole level at once, so an expansion costs
one statement a level however wide it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

# Aliases on the longest way from an address to a person.
MAX_DEPTH = 10
# Addresses on one level, and addresses in the end.
MAX_WIDTH = 1000

# Folded addresses in; for each one that is an alias its targets, as written.
TargetsOf = Callable[[frozenset[str]], Mapping[str, Sequence[str]]]
_Graph = dict[str, tuple[str, ...]]


class Unbounded(ValueError):
    """The expansion does not end within the limits."""


class TooDeep(Unbounded):
    """More than MAX_DEPTH aliases in a row."""


class TooWide(Unbounded):
    """More than MAX_WIDTH addresses."""


class Cycle(Unbounded):
    """An alias that leads back to itself."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(path))
        self.path = path


def fold(mailbox: str) -> str:
    """What makes two addresses the same: letters without case."""
    return mailbox.lower()


def expand(start: str, targets_of: TargetsOf) -> tuple[str, ...]:
    """Return what `start` stands for in the end, each address once, in order.

    Raise Cycle, TooDeep or TooWide. An address reached on two ways is no
    cycle; it is kept once, as it was written first.
    """
    graph, written = _explore(start, targets_of)
    if path := _cycle_in(graph, fold(start)):
        raise Cycle(tuple(written[node] for node in path))
    leaves = tuple(written[node] for node in written if node not in graph)
    if len(leaves) > MAX_WIDTH:
        raise TooWide(f"{start} stands for more than {MAX_WIDTH} addresses")
    return leaves


def find_cycle(start: str, targets_of: TargetsOf) -> tuple[str, ...]:
    """Return the way from `start` back to itself, both ends named, or nothing.

    Raise TooDeep or TooWide where the search would not end.
    """
    graph, written = _explore(start, targets_of)
    return tuple(written[node] for node in _cycle_in(graph, fold(start)))


def _explore(start: str, targets_of: TargetsOf) -> tuple[_Graph, dict[str, str]]:
    """Every alias reached and its targets; every address as first written."""
    graph: _Graph = {}
    written = {fold(start): start}
    level = frozenset(written)
    for depth in range(MAX_DEPTH + 1):
        found = targets_of(level)
        if found and depth == MAX_DEPTH:
            raise TooDeep(f"{start} leads through more than {MAX_DEPTH} aliases")
        before = len(written)
        for node in [node for node in written if node in level and node in found]:
            graph[node] = tuple(fold(target) for target in found[node])
            for target in found[node]:
                written.setdefault(fold(target), target)
        if len(written) - before > MAX_WIDTH:
            raise TooWide(f"{start} stands for more than {MAX_WIDTH} addresses")
        level = frozenset(islice(written, before, None))
        if not level:
            break
    return graph, written


def _cycle_in(graph: _Graph, start: str) -> tuple[str, ...]:
    """The first circle met from `start` on, closed: (a, b, a); or nothing."""
    way = [start]
    on_way = {start}
    done: set[str] = set()
    pending = [iter(graph.get(start, ()))]
    while pending:
        node = next(pending[-1], None)
        if node is None:
            pending.pop()
            left = way.pop()
            on_way.discard(left)
            done.add(left)
        elif node in on_way:
            return (*way[way.index(node) :], node)
        elif node in graph and node not in done:
            way.append(node)
            on_way.add(node)
            pending.append(iter(graph[node]))
    return ()
