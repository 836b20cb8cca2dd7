"""docs/bench.md: prose by hand, and one block of figures for each part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "bench.md"


def replaced(page: str, part: str, lines: Sequence[str]) -> str:
    """Put lines between the marks of a part; raise KeyError where it has none."""
    begin, end = f"<!-- figures: {part} -->\n", "<!-- end -->"
    block = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not block.search(page):
        raise KeyError(f"{PAGE.name} has no place for the figures of {part}")
    text = begin + "\n" + "\n".join(lines) + "\n\n" + end
    return block.sub(lambda _: text, page)


def write(part: str, lines: Sequence[str]) -> None:
    """Keep the figures of one part."""
    PAGE.write_text(replaced(PAGE.read_text(), part, lines))
