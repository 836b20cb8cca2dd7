"""docs/bench.md and docs/cost.md: prose by hand, and a block for each part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "bench.md"
COST = DOCS / "cost.md"


def replaced(page: str, part: str, lines: Sequence[str]) -> str:
    """Put lines between the marks of a part; raise KeyError where it has none."""
    begin, end = f"<!-- figures: {part} -->\n", "<!-- end -->"
    block = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not block.search(page):
        raise KeyError(f"the page has no place for the figures of {part}")
    text = begin + "\n" + "\n".join(lines) + "\n\n" + end
    return block.sub(lambda _: text, page)


def write(part: str, lines: Sequence[str]) -> None:
    """Keep the figures of one part, on the page where it has its place."""
    page = COST if part == "cost" else PAGE
    page.write_text(replaced(page.read_text(), part, lines))
