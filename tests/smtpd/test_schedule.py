"""When to try again, and when to stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smtpd.outbound.results import Outcome, Result
from smtpd.queue import schedule


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 70), (6, 70), (60000, 70)],
)
def test_waits_double_up_to_seventy_minutes(attempts: int, minutes: int) -> None:
    assert schedule.next_wait(attempts, 0) == timedelta(minutes=minutes)


def test_dice_take_off_a_quarter_at_most() -> None:
    assert schedule.next_wait(1, 1) == timedelta(minutes=5) * 0.75


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 2), (1, 4), (3, 16), (7, 256), (8, 300), (999, 300)]
)
def test_host_is_asked_again_soon_at_first(failures: int, seconds: int) -> None:
    assert schedule.backoff(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 300), (1, 600), (3, 2400), (4, 4000), (999, 4000)]
)
def test_domain_is_left_alone_for_longer(failures: int, seconds: int) -> None:
    assert schedule.rest(failures, 0) == timedelta(seconds=seconds)
    assert schedule.rest(failures, 1) == timedelta(seconds=seconds) * 0.75


@pytest.mark.parametrize(
    ("outcome", "days", "is_final"),
    [
        (Outcome.FAILED, 0, True),
        (Outcome.TRY_LATER, 4.9, False),
        (Outcome.TRY_LATER, 5, True),
        (Outcome.SENT, 9, False),
    ],
)
def test_refused_for_good_or_too_old_is_final(
    outcome: Outcome, days: float, is_final: bool
) -> None:
    age = timedelta(days=days)
    assert schedule.is_final(Result(outcome), age, 5) is is_final


def test_three_claims_that_nobody_finished_are_poison() -> None:
    assert [schedule.is_poison(claims) for claims in (1, 2, 3)] == [False, False, True]
