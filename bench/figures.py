"""Figures as a person reads them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """Median (least - most); of one value just that."""
    if len(values) == 1:
        return form.format(values[0])
    ends = (statistics.median(values), min(values), max(values))
    middle, least, most = (form.format(value) for value in ends)
    return f"{middle} ({least} - {most})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown: words in the first column, numbers in the others."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join(rule) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
