"""Whose fault a refusal is, by table; and how points add up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lists.bounces.score import HARD, POLICY, SOFT, count, kind
from lists.bounces.waves import is_wave
from smtpd.outbound.failures import Failure, classify

TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (550, "5.1.1", "The account you tried to reach does not exist", HARD),
        (551, "5.1.6", "User has moved", HARD),
        (550, "5.7.1", "No such user!", HARD),
        (552, "5.2.2", "Mailbox full", SOFT),
        (None, "4.4.1", "Connection timed out", SOFT),
        (450, "4.1.1", "User unknown, try later", SOFT),
        (552, "5.3.4", "Message too big", POLICY),
        (550, "5.7.26", "Unauthenticated email is not accepted: DMARC", POLICY),
        (554, "", "Service unavailable; Client host blocked using zen.x", POLICY),
        (503, "", "Bad sequence of commands", POLICY),
        (421, "4.7.0", "Try again later, IP rate limited", POLICY),
    ],
)
def test_failures_say_something_against_the_address_or_not(
    code: int | None, enhanced: str, text: str, expected: str
) -> None:
    """All replies: tests/smtpd/test_failures.py."""
    assert kind(classify(code, enhanced, text), code, enhanced) == expected


def test_what_became_of_our_relay_says_nothing_against_anybody() -> None:
    assert kind(Failure.NETWORK, None, "", is_relays=True) == POLICY
    assert kind(Failure.UNKNOWN, 550, "5.1.1", is_relays=True) == HARD


def test_a_day_that_was_decided_about_late_counts_once_more() -> None:
    """And the last day stays the last one."""
    score, last = count(2, TODAY, HARD, TODAY - timedelta(days=2))
    assert (score, last) == (4, TODAY)


@pytest.mark.parametrize(
    ("failed", "total", "expected"),
    [
        (11, 40, True),
        (10, 11, False),
        (20, 100, False),
        (21, 100, True),
        (11, 0, True),
        (0, 0, False),
    ],
)
def test_many_at_once_are_a_wave(failed: int, total: int, *, expected: bool) -> None:
    """More than ten, and more than a fifth."""
    assert is_wave(failed, total, least=10, percent=20) is expected


def test_a_day_counts_once() -> None:
    score, last = count(0, None, HARD, TODAY)
    assert (score, last) == (2, TODAY)
    assert count(score, last, HARD, TODAY) == (2, TODAY)
    assert count(score, last, SOFT, TODAY + timedelta(days=1)) == (
        3,
        TODAY + timedelta(days=1),
    )


@pytest.mark.parametrize(("days", "expected"), [(7, 10), (8, 2)])
def test_a_quiet_week_starts_again(days: int, expected: int) -> None:
    assert count(8, TODAY - timedelta(days=days), HARD, TODAY) == (expected, TODAY)


@pytest.mark.parametrize("name", [POLICY, "complaint", "unknown"])
def test_what_is_not_the_members_fault_changes_nothing(name: str) -> None:
    assert count(4, None, name, TODAY) == (4, None)
