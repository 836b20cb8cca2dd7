"""What was in a dead worker's hands comes back one message at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smtpd.models import Delivery
from smtpd.queue import ledger
from smtpd.queue.ledger import Claimed
from smtpd.queue.rota import Turn
from smtpd.queue.suspects import AGAIN, SECONDS, Suspects
from tests.smtpd.sending import make_verp


def rows(*of: tuple[int, int]) -> list[Claimed]:
    """Rows of (message, claims)."""
    return [
        Claimed(number, message, f"m{number}@a.test", None, "relay", 1, 1, claims, 7)
        for number, (message, claims) in enumerate(of)
    ]


def test_fresh_rows_all_go() -> None:
    fresh = rows((1, 1), (2, 1))
    assert Suspects().part(fresh, 10.0) == (fresh, [])


def test_one_message_of_the_dead_goes_with_the_fresh() -> None:
    claimed = rows((1, 2), (1, 2), (2, 2), (3, 1), (4, 3))
    kept, back = Suspects().part(claimed, 10.0)
    assert kept == [claimed[0], claimed[1], claimed[3]]
    assert back == [claimed[2], claimed[4]]


def test_the_next_one_goes_when_it_is_over_or_has_lived_long_enough() -> None:
    suspects = Suspects()
    first, second = rows((1, 2), (2, 2))
    assert suspects.part([first], 10.0) == ([first], [])
    assert suspects.part([second], 10.1) == ([], [second])
    assert suspects.again_at == pytest.approx(10.1 + AGAIN)
    suspects.settle(first)
    assert suspects.part([second], 10.2) == ([second], [])
    third = rows((3, 2))[0]
    assert suspects.part([third], 10.3) == ([], [third])
    assert suspects.part([third], 10.2 + SECONDS) == ([third], [])


def test_the_fourth_claim_is_no_suspect_any_more() -> None:
    poison = rows((1, 4))
    assert Suspects().part(poison, 1.0) == (poison, [])


@pytest.mark.django_db
def test_what_is_given_back_is_as_it_was() -> None:
    make_verp([("a@home.test", None), ("b@home.test", None)])
    Delivery.objects.update(claims=1, ambiguous=2, attempts=3)
    claimed = ledger.claim([Turn("relay", 1, 50)])
    assert {row.claims for row in claimed} == {2}
    ledger.give_back(claimed[:1], timedelta(0))
    kept, back = Delivery.objects.order_by("-lease")
    if kept.lease is None:
        kept, back = back, kept
    assert (back.claims, back.ambiguous, back.attempts, back.lease) == (1, 2, 3, None)
    assert (kept.claims, kept.ambiguous, kept.attempts) == (2, 3, 4)
