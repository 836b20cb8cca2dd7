"""What was in a dead worker's hands comes back one message at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from smtpd.models import Delivery
from smtpd.queue import deaths, ledger
from smtpd.queue.ledger import AGAIN, Claimed
from smtpd.queue.rota import Turn
from smtpd.queue.suspects import SECONDS, Suspects
from tests.sink import Script, Sink
from tests.smtpd.sending import make_verp, people, run, working
from tests.stack import wait_until

RELAY = Turn("relay", 1, 50)


def rows(*of: tuple[int, int]) -> list[Claimed]:
    """Rows of (message, deaths)."""
    return [
        Claimed(number, message, f"m{number}@a.test", None, "relay", 1, 1, claims, 0)
        for number, (message, claims) in enumerate(of)
    ]


def test_the_one_with_the_most_deaths_is_tried_alone() -> None:
    suspects = Suspects()
    looked = rows((1, 1), (1, 1), (2, 1), (4, 2))
    first, aside = suspects.choose(looked, 10.0)
    assert (first, aside) == (looked[3], [])
    suspects.begin(looked[3], 10.0)
    assert suspects.choose(looked[:3], 10.1) == (None, [])
    assert suspects.again_at > 10.1 + AGAIN.total_seconds(), "others look, too"


def test_it_stays_the_same_one_when_nobody_could_take_it() -> None:
    suspects = Suspects()
    looked = rows((1, 1), (1, 1))
    assert suspects.choose(looked, 10.0)[0] == looked[0]
    assert suspects.choose(looked[::-1], 10.1)[0] == looked[0]


def test_the_others_follow_when_we_have_survived_it() -> None:
    suspects = Suspects()
    first, second, other = rows((1, 1), (1, 1), (2, 1))
    suspects.begin(first, 10.0)
    suspects.settle(second)
    assert suspects.cleared() == set(), "that was not the one"
    suspects.settle(first)
    assert suspects.cleared() == {1}
    assert suspects.cleared() == set(), "named once"
    assert suspects.choose([second, other], 10.2) == (other, [])
    assert suspects.cleared() == {1}, "a dead worker still had it then"


def test_the_next_message_goes_when_the_first_one_takes_long() -> None:
    suspects = Suspects()
    first, second = rows((1, 1), (2, 1))
    suspects.begin(first, 10.0)
    assert suspects.choose([second], 9.9 + SECONDS) == (None, [])
    assert suspects.choose([second], 10.0 + SECONDS) == (second, [])
    assert suspects.cleared() == {1}


def test_a_process_tries_nothing_right_at_its_start() -> None:
    suspects = Suspects(pause=0.7)
    looked = rows((1, 1))
    assert suspects.choose(looked, 10.0) == (None, [])
    assert suspects.choose(looked, 10.6) == (None, [])
    assert suspects.choose(looked, 10.7) == (looked[0], [])


def test_what_another_process_tries_is_left_to_it() -> None:
    first, second = rows((1, 1), (2, 1))
    assert Suspects().choose([first, second], 10.0, elsewhere={1}) == (second, [])


def test_three_deaths_are_put_aside_with_what_was_in_the_same_hands() -> None:
    looked = rows((1, 3), (1, 1), (2, 1))
    assert Suspects().choose(looked, 1.0) == (looked[2], looked[:2])
    late = rows((1, 1))
    assert Suspects().choose(late, 9.0, poison={1}) == (None, late)


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
def test_what_a_dead_worker_had_is_looked_at_and_taken_by_one() -> None:
    make_verp(people(3))
    fresh = Delivery.objects.latest("id")
    dead = Delivery.objects.exclude(pk=fresh.pk)
    dead.update(claims=1, attempts=1, lease=5)
    mine, *left = sorted(ledger.claim([RELAY]), key=lambda row: -row.claims * row.lease)
    assert (mine.id, mine.claims, mine.is_ours) == (fresh.pk, 1, True)
    assert [(row.claims, row.attempts, row.is_ours) for row in left] == [
        (1, 1, False),
        (1, 1, False),
    ]
    known = set(dead.values_list("claims", "attempts", "ambiguous", "lease"))
    assert known == {(1, 1, 0, None)}, "no death counts against them"
    [taken] = deaths.take(left[:1])
    assert (taken.claims, taken.attempts, taken.is_ours) == (2, 2, True)
    row = Delivery.objects.get(pk=taken.id)
    assert (row.claims, row.ambiguous, row.lease) == (2, 1, taken.lease)
    assert [row.id for row in deaths.take(left)] == [left[1].id], "one is taken"


@pytest.mark.django_db
def test_who_else_tries_a_message_is_known_from_the_ledger() -> None:
    outgoing = make_verp(people(3)).pk
    Delivery.objects.update(claims=1)
    [looked, *_] = ledger.claim([RELAY])
    assert deaths.rivals({outgoing}) == (set(), set())
    [taken] = deaths.take([looked])
    assert deaths.rivals({outgoing}) == ({outgoing}, set())
    Delivery.objects.filter(pk=taken.id).update(
        next_attempt_at=F("next_attempt_at") + timedelta(seconds=1)
    )
    assert deaths.rivals({outgoing}) == (set(), set()), "it lives, and has renewed"
    Delivery.objects.filter(pk=taken.id).update(state="quarantined", lease=None)
    assert deaths.rivals({outgoing}) == (set(), {outgoing})


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


@pytest.mark.django_db(transaction=True)
def test_what_a_dead_worker_had_is_in_our_hands_for_a_moment_only() -> None:
    make_verp(people(100))
    make_verp([("late@home.test", 101)])
    late = Delivery.objects.filter(address="late@home.test")
    late.update(claims=1, attempts=1)
    with Sink(Script(latency=0.05)) as sink, working(sink, connections=1) as worker:
        worker.serve()
        wait_until(late.filter(lease__gt=0).exists, 20, "it is tried")
        before = len(sink.messages)
        run(worker, 20)
    # Each in its 50 ms; they wait for their turn, it does not.
    assert sink.recipients().index("late@home.test") - before < 5
