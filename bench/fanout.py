"""Fan-out: from the 250 of a post to the last subscriber's copy."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench import yardsticks
from bench.figures import spread, table
from bench.letters import SEED
from bench.posting import Figures
from bench.rows import MILLION, ROWS, Row
from bench.sites import site
from bench.usage import KINDS
from bench.yardsticks import WORDS

HEADS = (
    *("row", "what", "site", "posts", "copies", "copies/s", "to its limit", "posts/s"),
    *("first copy, ms", "CPU ms a copy", "of it " + " / ".join(KINDS)),
    *("transactions a copy", "worker at its peak, MiB"),
)


@dataclass(slots=True)
class Found:
    """Of one row, run by run."""

    figures: list[Figures] = field(default_factory=list)
    # To the yardstick beside the same run.
    ratios: list[float] = field(default_factory=list)


def figures(
    runs: int, scale: float, *, names: Sequence[str] = (), full: bool = False
) -> list[str]:
    """The tables: rows, yardsticks, and what follows from them."""
    found: dict[str, Found] = defaultdict(Found)
    limits: dict[str, list[float]] = defaultdict(list)
    rows = _wanted(names, full=full)
    for setting, group in itertools.groupby(rows, key=lambda row: row.setting):
        _measure(list(group), runs, scale, found, limits)
        print(f"measured: {setting}", file=sys.stderr, flush=True)
    shown = [_row(row, found[row.name]) for row in rows]
    yards = [[WORDS[name], spread(limits[name])] for name in WORDS]
    return [
        f"Seed {SEED}; {runs} runs, 1 of the rows of 100,000.",
        "",
        *table(HEADS, shown),
        "",
        *table(("limit of this machine", "a second"), yards),
        "",
        *_conclusions(found),
    ]


def million(runs: int, scale: float) -> list[str]:
    return figures(runs, scale, names=[MILLION.name])


def _wanted(names: Sequence[str], *, full: bool) -> list[Row]:
    """In their order, those of a site together."""
    if names:
        return [row for row in (*ROWS, MILLION) if row.name in names]
    return [row for row in ROWS if full or row.is_usual]


def _measure(
    rows: list[Row],
    runs: int,
    scale: float,
    found: dict[str, Found],
    limits: dict[str, list[float]],
) -> None:
    """All rows of one site, turn by turn, with the yardsticks in between."""
    with site(rows[0].setting) as here:
        for run in range(runs):
            limit = yardsticks.measure(scale)
            for name, value in limit.items():
                limits[name].append(value)
            for row in rows:
                if run < row.most_runs:
                    got = row.take(here, scale)
                    found[row.name].figures.append(got)
                    if row.limit:
                        found[row.name].ratios.append(got.rate / limit[row.limit])


def _row(row: Row, found: Found) -> list[str]:
    every = found.figures
    return [
        row.name,
        row.what,
        str(row.setting),
        f"{every[0].posts:,}",
        f"{every[0].copies:,}",
        spread([f.rate for f in every]),
        spread(found.ratios, "{:.2f}") if found.ratios else "",
        spread([f.posts / f.seconds for f in every]) if every[0].posts > 1 else "",
        spread([f.first * 1000 for f in every]) if every[0].posts == 1 else "",
        spread([sum(f.cpu.values()) for f in every], "{:.3f}"),
        " / ".join(f"{_median([f.cpu[kind] for f in every]):.3f}" for kind in KINDS),
        spread([f.statements for f in every], "{:.3f}") if every[0].statements else "",
        f"{max(f.memory for f in every):.0f}",
    ]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _conclusions(found: dict[str, Found]) -> Iterator[str]:
    """Ratios between rows of one run, where both were measured."""
    if {"1k", "100k"} <= found.keys():
        few, many = (_middle(found[name]) for name in ("1k", "100k"))
        cost = sum(many.cpu.values()) / sum(few.cpu.values())
        grown = many.memory - few.memory
        yield f"A copy of 100,000 costs {cost:.2f} of one of 1,000;"
        yield f"the worker's peak is {grown:+.0f} MiB to that at 1,000."
    if {"unsigned", "100ms"} <= found.keys():
        near, far = (_middle(found[name]) for name in ("unsigned", "100ms"))
        yield f"100 ms away: {far.rate / near.rate:.2f} of the rate at no distance."


def _middle(found: Found) -> Figures:
    """The run with the median rate."""
    ordered = sorted(found.figures, key=lambda figures: figures.rate)
    return ordered[len(ordered) // 2]
