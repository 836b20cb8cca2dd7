from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliases.expansion import (
    MAX_DEPTH,
    MAX_WIDTH,
    Cycle,
    TooDeep,
    TooWide,
    Unbounded,
    expand,
    find_cycle,
)

Graph = Mapping[str, Sequence[str]]


def look_up(graph: Graph) -> Callable[[frozenset[str]], Graph]:
    return lambda level: {node: graph[node] for node in level if node in graph}


def chain(length: int) -> Graph:
    return {f"a{n}": [f"a{n + 1}"] for n in range(length)}


@pytest.mark.parametrize(
    ("graph", "leaves"),
    [
        ({"a": ["x", "y"]}, ("x", "y")),
        ({"a": ["b", "x"], "b": ["y"]}, ("x", "y")),
        # A diamond is no cycle.
        ({"a": ["b", "c"], "b": ["x"], "c": ["x"]}, ("x",)),
        ({"a": ["b", "c"], "b": ["c"], "c": ["x"]}, ("x",)),
        # Case makes no difference; the first writing stays.
        ({"a": ["X@D", "x@d"]}, ("X@D",)),
        ({"a": ["B"], "b": ["x"]}, ("x",)),
        ({"a": []}, ()),
        ({}, ("a",)),
    ],
)
def test_an_alias_stands_for_its_leaves(graph: Graph, leaves: tuple[str, ...]) -> None:
    assert expand("a", look_up(graph)) == leaves


@pytest.mark.parametrize(
    ("graph", "path"),
    [
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["x", "b"], "b": ["a"]}, ("a", "b", "a")),
        ({"a": ["b"], "b": ["c", "y"], "c": ["A"]}, ("a", "b", "c", "a")),
        # Further in, and the start is not part of it.
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ("b", "c", "b")),
        # Beside a diamond.
        (
            {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["c"]},
            ("d", "c", "d"),
        ),
    ],
)
def test_a_cycle_is_told_with_its_path(graph: Graph, path: tuple[str, ...]) -> None:
    assert find_cycle("a", look_up(graph)) == path
    with pytest.raises(Cycle) as caught:
        expand("a", look_up(graph))
    assert caught.value.path == path
    assert str(caught.value) == " -> ".join(path)


def test_no_cycle_is_nothing() -> None:
    assert find_cycle("a", look_up({"a": ["b", "c"], "b": ["c"], "c": ["x"]})) == ()


def test_ten_aliases_in_a_row_are_enough() -> None:
    assert expand("a0", look_up(chain(MAX_DEPTH))) == (f"a{MAX_DEPTH}",)
    with pytest.raises(TooDeep):
        expand("a0", look_up(chain(MAX_DEPTH + 1)))


def test_a_thousand_addresses_are_enough() -> None:
    wide = {"a": [f"x{n}" for n in range(MAX_WIDTH)]}
    assert len(expand("a", look_up(wide))) == MAX_WIDTH
    with pytest.raises(TooWide):
        expand("a", look_up({"a": [*wide["a"], "one more"]}))


def test_width_counts_over_all_levels() -> None:
    half = [f"x{n}" for n in range(MAX_WIDTH // 2)]
    other = [f"y{n}" for n in range(MAX_WIDTH // 2)]
    graph = {"a": ["b", *half], "b": other}
    assert len(expand("a", look_up(graph))) == MAX_WIDTH
    with pytest.raises(TooWide):
        expand("a", look_up({"a": ["b", *half], "b": [*other, "one more"]}))


def test_one_look_up_a_level() -> None:
    graph = {"a": ["b", "c"], "b": ["d", "x"], "c": ["d", "y"], "d": ["z"]}
    levels = []

    def targets_of(level: frozenset[str]) -> Graph:
        levels.append(level)
        return look_up(graph)(level)

    expand("a", targets_of)
    assert levels[:3] == [{"a"}, {"b", "c"}, {"d", "x", "y"}]
    assert len(levels) == 4


names = st.sampled_from([f"n{n}" for n in range(14)])


@given(st.dictionaries(names, st.lists(names, max_size=4), max_size=14))
def test_it_ends_whatever_the_graph(graph: dict[str, list[str]]) -> None:
    try:
        leaves = expand("n0", look_up(graph))
    except Unbounded:
        return
    assert not set(leaves) & graph.keys() or leaves == ("n0",)
    assert len(set(leaves)) == len(leaves)
