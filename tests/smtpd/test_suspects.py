"""What was in a dead worker's hands comes back one message at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from smtpd.models import Delivery
from smtpd.queue import deaths, ledger
from smtpd.queue.ledger import Claimed
from smtpd.queue.rota import Turn
from smtpd.queue.suspects import AGAIN, SECONDS, Suspects
from tests.sink import Script, Sink
from tests.smtpd.sending import make_verp, people, run, working


def rows(*of: tuple[int, int]) -> list[Claimed]:
    """Rows of (message, claims)."""
    return [
        Claimed(number, message, f"m{number}@a.test", None, "relay", 1, 1, claims, 7)
        for number, (message, claims) in enumerate(of)
    ]


def test_fresh_rows_all_go() -> None:
    fresh = rows((1, 1), (2, 1))
    assert Suspects().part(fresh, 10.0) == (fresh, [], [], [])


def test_one_row_of_the_dead_goes_with_the_fresh() -> None:
    claimed = rows((1, 2), (1, 2), (2, 2), (3, 1), (4, 3))
    kept, soon, later, aside = Suspects().part(claimed, 10.0)
    assert kept == [claimed[3], claimed[4]], "the one with the most deaths"
    assert soon == [claimed[0], claimed[1], claimed[2]]
    assert later == aside == []


def test_the_others_follow_when_we_have_survived_it() -> None:
    suspects = Suspects()
    first, second, other = rows((1, 2), (1, 2), (2, 2))
    assert suspects.part([first, second], 10.0).keep == [first]
    assert suspects.again_at == pytest.approx(10.0 + AGAIN)
    assert suspects.part([second, other], 10.1).soon == [second, other]
    suspects.settle(second)
    assert suspects.cleared() == set(), "that was not the one"
    suspects.settle(first)
    assert suspects.cleared() == {1}
    assert suspects.cleared() == set(), "named once"
    fresh = rows((1, 1))
    assert suspects.part([*fresh, other], 10.2).keep == [*fresh, other]


def test_what_a_dead_worker_still_had_then_is_absolved_as_well() -> None:
    suspects = Suspects()
    first, late = rows((1, 2), (1, 3))
    suspects.part([first], 10.0)
    suspects.settle(first)
    suspects.cleared()
    assert suspects.part([late], 14.0).soon == [late]
    assert suspects.cleared() == {1}


def test_the_next_message_goes_when_the_first_one_takes_long() -> None:
    suspects = Suspects()
    first, second = rows((1, 2), (2, 2))
    suspects.part([first], 10.0)
    assert suspects.part([second], 9.9 + SECONDS).soon == [second]
    assert suspects.part([second], 10.0 + SECONDS).keep == [second]
    assert suspects.cleared() == {1}


def test_what_another_process_tries_is_left_to_it() -> None:
    suspects = Suspects()
    first, second = rows((1, 2), (2, 2))
    parted = suspects.part([first, second], 10.0, elsewhere={1})
    assert parted == ([second], [], [first], [])


def test_the_fourth_claim_is_put_aside_with_what_was_in_the_same_hands() -> None:
    claimed = rows((1, 4), (1, 2), (1, 1), (2, 2))
    parted = Suspects().part(claimed, 1.0)
    assert parted.put_aside == [claimed[1], claimed[0]]
    assert parted.keep == [claimed[2], claimed[3]], "nobody died of these"
    late = rows((1, 2))
    assert Suspects().part(late, 9.0, poison={1}).put_aside == late


@pytest.mark.django_db
def test_absolved_rows_are_as_new_and_may_have_gone_out_before() -> None:
    make_verp([("a@home.test", None), ("b@home.test", None)])
    Delivery.objects.update(claims=2, ambiguous=1)
    held = Delivery.objects.latest("id")
    Delivery.objects.filter(pk=held.pk).update(lease=5)
    deaths.absolve({held.outgoing_id})
    free = Delivery.objects.get(lease=None)
    assert (free.claims, free.ambiguous) == (0, 2)
    held.refresh_from_db()
    assert (held.claims, held.ambiguous) == (2, 1), "somebody's"


@pytest.mark.django_db
def test_who_else_tries_a_message_is_known_from_the_ledger() -> None:
    make_verp([("a@home.test", None), ("b@home.test", None), ("c@home.test", None)])
    Delivery.objects.update(claims=1)
    [mine, other, *_] = ledger.claim([Turn("relay", 1, 50)])
    assert deaths.rivals([mine]) == (set(), set())
    Delivery.objects.filter(pk=other.id).update(lease=5)
    assert deaths.rivals([mine]) == ({mine.outgoing_id}, set())
    Delivery.objects.filter(pk=other.id).update(state="quarantined", lease=None)
    assert deaths.rivals([mine]) == (set(), {mine.outgoing_id})


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("latency", [0.0, 0.6])
def test_the_others_follow_when_the_first_went_out_or_takes_long(
    latency: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtpd.queue.suspects.SECONDS", 0.3)
    make_verp(people(5))
    Delivery.objects.update(claims=1)
    with Sink(Script(latency=latency)) as sink, working(sink, connections=6) as worker:
        run(worker, 5)
    assert len(set(sink.recipients())) == len(sink.messages) == 5
    assert set(Delivery.objects.values_list("state", "ambiguous")) == {("sent", 1)}


@pytest.mark.django_db(transaction=True)
def test_what_another_process_gave_back_follows_too() -> None:
    make_verp(people(4))
    Delivery.objects.update(claims=1)
    first = Delivery.objects.earliest("id")
    others = Delivery.objects.exclude(pk=first.pk)
    soon = timezone.now() + timedelta(seconds=30)
    others.update(lease=5, next_attempt_at=soon)
    with Sink() as sink, working(sink) as worker:
        run(worker, 5)
        assert sink.recipients() == [first.address]
        others.update(lease=None, next_attempt_at=timezone.now())
        run(worker, 5)
    assert len(sink.messages) == 4
