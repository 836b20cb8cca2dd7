"""How many connections a destination has, as it behaves."""

from __future__ import annotations

from smtpd.queue.concurrency import Concurrency


def test_each_copy_taken_allows_a_part_of_one_more() -> None:
    found = Concurrency(2, 4, asks_first=False)
    found.took()
    assert found.limit == 2
    found.took()
    found.took()
    assert found.limit == 3
    for _ in range(50):
        found.took()
    assert found.limit == 4


def test_one_that_asks_for_less_gets_half_and_then_a_break() -> None:
    found = Concurrency(8, 20, asks_first=False)
    assert [found.slowed() for _ in range(3)] == [False, False, True]
    assert found.limit == 1
    assert not found.slowed(), "it counts anew"


def test_a_copy_in_between_is_a_good_sign() -> None:
    found = Concurrency(8, 20, asks_first=False)
    found.slowed()
    found.slowed()
    assert found.took(), "the first one since"
    assert not found.took()
    assert not found.slowed()


def test_it_asks_with_one_connection_first() -> None:
    found = Concurrency(5, 20, asks_first=True)
    assert found.now(0, at=10.0) == 1
    assert found.answered(), "the others may come"
    assert not found.answered()
    assert found.now(1, at=10.0) == 5


def test_one_connection_too_many_is_not_tried_again_for_a_minute() -> None:
    found = Concurrency(10, 20, asks_first=False)
    found.refused(3, at=100.0)
    assert found.now(3, at=159.0) == 3
    assert found.now(2, at=159.0) == 2, "not even the one that went"
    assert found.now(2, at=161.0) == 3


def test_an_admins_limit_holds_and_can_be_lifted() -> None:
    found = Concurrency(10, 20, asks_first=False)
    found.allow(2)
    assert (found.limit, found.most) == (2, 2)
    found.allow(None)
    assert (found.limit, found.most) == (2, 20)
