"""docs/conformance.md is true: each row is proved, and the page says it."""

from __future__ import annotations

import pytest

from tests.dialogues import conformance, rows

ROWS = [row for section in rows.sections() for row in section.rows]
# How many rows the table has in each group, so that none gets lost.
COUNTS = {1: 5, 2: 9, 3: 27, 4: 5, 5: 12, 6: 16, 7: 3, 8: 9, 9: 10, 10: 19}


def test_no_row_is_missing() -> None:
    expected = [f"{n}.{m}" for n, count in COUNTS.items() for m in range(1, count + 1)]
    assert [row.row for row in ROWS] == expected


@pytest.mark.parametrize("row", ROWS, ids=[row.row for row in ROWS])
def test_each_row_is_proved_and_has_an_answer(row: rows.Row) -> None:
    assert row.is_proved
    assert row.answer or row.dialogues
    assert [name for name in row.proof if not rows.is_test(name)] == []


def test_the_page_is_what_the_dialogues_say() -> None:
    assert conformance.PAGE.read_text() == conformance.page(), (
        "run: python -m tests.dialogues.conformance"
    )
