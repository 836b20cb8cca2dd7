"""What a refusal means: by the replies of real servers."""

from __future__ import annotations

import pytest

from smtpd.outbound.failures import (
    WORDS,
    Effect,
    Failure,
    Stage,
    classify,
    effect,
    is_deferred,
    is_slowing,
)
from smtpd.outbound.wordings import ABOUT_US, WORDINGS
from tests.smtpd.refusals import ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=[f"{r[5]}-{r[0]}" for r in ROWS])
def test_a_refusal_has_a_class(row: Row) -> None:
    _, stage, code, enhanced, text, expected = row
    assert classify(code, enhanced, text, stage) == expected


def test_every_class_occurs_and_has_words() -> None:
    refusals = set(Failure) - {Failure.STOPPED}
    assert {row[5] for row in ROWS} == refusals
    assert set(WORDS) == set(Failure)


def test_every_wording_names_a_class() -> None:
    assert {name for name, _ in (*ABOUT_US, *WORDINGS)} <= set(Failure)


@pytest.mark.parametrize("row", ROWS, ids=[f"{r[5]}-{r[0]}" for r in ROWS])
def test_what_they_say_of_us_or_the_message_is_no_members_fault(row: Row) -> None:
    _, _, code, enhanced, _, expected = row
    is_ours = expected in {"policy", "blocked", "auth", "rate", "size", "protocol"}
    assert (effect(Failure(expected), code, enhanced) is Effect.NONE) == is_ours


@pytest.mark.parametrize(
    ("failure", "code", "enhanced", "expected"),
    [
        (Failure.UNKNOWN, 550, "5.1.1", Effect.HARD),
        (Failure.UNKNOWN, None, "5.1.2", Effect.HARD),
        (Failure.UNKNOWN, 450, "4.1.1", Effect.SOFT),
        (Failure.MOVED, 551, "", Effect.HARD),
        (Failure.DISABLED, 550, "5.2.1", Effect.SOFT),
        (Failure.FULL, 452, "4.2.2", Effect.SOFT),
        (Failure.NETWORK, None, "", Effect.SOFT),
    ],
)
def test_only_a_final_no_is_hard(
    failure: Failure, code: int | None, enhanced: str, expected: Effect
) -> None:
    assert effect(failure, code, enhanced) is expected


def test_what_is_ours_to_mend_is_tried_again() -> None:
    assert {each for each in Failure if is_deferred(each)} == {
        Failure.BLOCKED,
        Failure.RATE,
    }


@pytest.mark.parametrize(
    ("failure", "code", "enhanced", "expected"),
    [
        (Failure.RATE, 421, "4.7.28", True),
        (Failure.RATE, 451, "4.7.1", True),
        (Failure.BLOCKED, 550, "5.7.1", True),
        (Failure.NETWORK, 421, "4.3.2", True),
        # One mailbox alone.
        (Failure.RATE, 450, "4.2.1", False),
        (Failure.RATE, 550, "5.2.122", False),
        (Failure.FULL, 452, "4.2.2", False),
        (Failure.UNKNOWN, 550, "5.1.1", False),
    ],
)
def test_who_wants_less_gets_less(
    failure: Failure, code: int, enhanced: str, *, expected: bool
) -> None:
    assert is_slowing(failure, code, enhanced) is expected


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [None, 211, 400, 499, 500, 599])
def test_nothing_is_without_a_class(stage: Stage, code: int | None) -> None:
    for enhanced in ("", "4.9.9", "5.9.9", "x"):
        assert classify(code, enhanced, "\x00 \u2028", stage) in Failure
