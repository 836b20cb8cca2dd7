from __future__ import annotations

import pytest

from bench import page

TEXT = """before
<!-- figures: one -->
old \\1
<!-- end -->
between
<!-- figures: two -->
<!-- end -->
"""


def test_figures_of_one_part_replace_theirs_and_keep_the_others() -> None:
    once = page.replaced(TEXT, "two", ["| 1 |", r"\2"])
    assert "old \\1" in once
    assert "| 1 |\n\\2\n" in once
    again = page.replaced(page.replaced(once, "one", ["new"]), "two", ["last"])
    assert "old" not in again
    assert "| 1 |" not in again
    assert again.index("before") < again.index("new") < again.index("between")
    assert again.index("between") < again.index("last")
    assert page.replaced(again, "two", ["last"]) == again


def test_a_part_without_a_place_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="three"):
        page.replaced(TEXT, "three", [])


@pytest.mark.parametrize(
    "part", ["fanout", "million", "acceptance", "rcpt", "large", "siege", "memory"]
)
def test_the_page_has_a_place_for_each_part(part: str) -> None:
    assert "here" in page.replaced(page.PAGE.read_text(), part, ["here"])


def test_so_has_the_page_of_costs() -> None:
    assert "here" in page.replaced(page.COST.read_text(), "cost", ["here"])
