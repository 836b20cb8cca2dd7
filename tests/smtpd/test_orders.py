"""What a person orders about the queue: on real rows, with a real worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from smtpd.models import Delivery, Destination, Event, Report
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.queue import ledger, order_words, orders, pace
from smtpd.queue.orders import Order
from tests.sink import Sink
from tests.smtpd.sending import make_outgoing, make_verp, people, run, states, working
from tests.smtpd.test_worker import claim

pytestmark = pytest.mark.django_db(transaction=True)
State = Delivery.State


def everybody() -> DeliveryQuerySet:
    return Delivery.objects.all()


def give(order: Order) -> int:
    return orders.give(order, everybody(), "root").count


@pytest.mark.parametrize(
    ("order", "before", "after"),
    [
        (Order.HOLD, "queued", "held"),
        (Order.RELEASE, "held", "queued"),
        (Order.RETRY, "failed", "queued"),
        (Order.RETRY, "quarantined", "queued"),
        (Order.FAIL, "quarantined", "failed"),
        (Order.DROP, "held", "cancelled"),
    ],
)
def test_an_order_given_twice_changes_nothing_more(
    order: Order, before: str, after: str
) -> None:
    make_verp(people(3))
    Delivery.objects.update(state=before)
    assert orders.reach(order, everybody()).count == 3
    assert states() == {before: 3}
    assert give(order) == 3
    assert states() == {after: 3}
    assert orders.reach(order, everybody()).count == 0
    assert give(order) == 0
    assert Event.objects.filter(kind=orders.KIND).count() == 1


@pytest.mark.parametrize("order", list(Order))
def test_what_was_sent_stays_sent(order: Order) -> None:
    make_verp(people(2))
    Delivery.objects.update(state=State.SENT)
    assert give(order) == 0
    assert states() == {"sent": 2}


@pytest.mark.parametrize("order", [Order.HOLD, Order.FAIL, Order.DROP])
def test_what_a_worker_has_in_its_hands_is_left_alone(order: Order) -> None:
    make_verp(people(2))
    [row] = claim(1)
    done = orders.give(order, everybody(), "root")
    assert (done.count, done.in_hands) == (1, 1)
    assert "1 copy in a worker's hands" in order_words.after(done)
    assert Delivery.objects.get(pk=row.id).state == "queued"
    # And its result is written as ever.
    assert ledger.record([ledger.Change(row, State.SENT)]) == {row.id}


def test_a_worker_that_was_away_too_long_changes_nothing() -> None:
    make_verp(people(1))
    [row] = claim(1)
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert give(Order.HOLD) == 1
    assert ledger.record([ledger.Change(row, State.SENT)]) == set()
    assert states() == {"held": 1}


def test_many_rows_of_a_message_are_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "BATCH", 2)
    make_verp(people(5))
    assert give(Order.HOLD) == 5
    [event] = Event.objects.filter(kind=orders.KIND)
    assert event.text == "root put 5 copies on hold."


def test_a_request_takes_so_many_and_says_that_there_are_more() -> None:
    make_verp(people(3))
    done = orders.give(Order.HOLD, everybody(), "root", most=2)
    assert (done.count, done.has_more) == (2, True)
    done = orders.give(Order.HOLD, everybody(), "root", most=2)
    assert (done.count, done.has_more) == (1, False)


def test_held_copies_are_not_sent_until_released() -> None:
    make_outgoing(people(2))
    orders.give(Order.HOLD, everybody().filter(address="sam0@home.test"), "root")
    with Sink() as sink, working(sink) as worker:
        run(worker)
        assert sink.recipients() == ["sam1@home.test"]
        give(Order.RELEASE)
        run(worker)
        assert sink.recipients() == ["sam1@home.test", "sam0@home.test"]


def test_failing_tells_the_sender_once_and_counts_against_nobody() -> None:
    make_outgoing(people(2), forward_path="team@lists.test", reverse_path="s@x.test")
    message = everybody()[0].outgoing.message
    message.reverse_path = "s@x.test"
    message.save()
    rows = everybody()
    assert (
        orders.give(Order.FAIL, rows.filter(outgoing__message=message), "r").count == 2
    )
    assert Report.objects.filter(message=message, action="failed").count() == 1
    assert {row.why for row in everybody().filter(state="failed")} == {
        "Whoever runs this site gave it up"
    }


def test_dropping_tells_nobody() -> None:
    make_outgoing(people(1), forward_path="team@lists.test", reverse_path="s@x.test")
    assert give(Order.DROP) == 1
    assert not Report.objects.exists()


def test_retry_asks_a_host_that_rests_and_not_one_on_hold() -> None:
    make_verp(people(1))
    ledger.host_failed("relay", "wrong password")
    assert claim(1) == []
    assert orders.give(Order.RETRY, everybody(), "root").woken == 1
    assert len(claim(1)) == 1
    Delivery.objects.update(lease=None, next_attempt_at=timezone.now())
    orders.hold_destination("relay", "root")
    assert orders.give(Order.RETRY, everybody(), "root").woken == 0
    assert claim(1) == []


def test_a_held_destination_gets_nothing_until_it_is_released() -> None:
    make_verp(people(3))
    assert orders.hold_destination("relay", "root")
    assert not orders.hold_destination("relay", "mori")
    assert Destination.objects.get(name="relay").held_by == "root"
    with Sink() as sink, working(sink) as worker:
        run(worker)
        assert sink.recipients() == []
        assert orders.release_destination("relay", "root")
        assert not orders.release_destination("relay", "root")
        run(worker)
        assert len(sink.recipients()) == 3


@pytest.mark.parametrize("has_failed", [True, False])
def test_an_answer_on_its_way_does_not_end_a_hold(*, has_failed: bool) -> None:
    make_verp(people(2))
    claim(1)
    if has_failed:
        ledger.host_failed("relay", "421 busy")
    orders.hold_destination("relay", "root")
    ledger.host_answered("relay")
    ledger.host_failed("relay", "421 busy")
    ledger.host_answered("relay")
    assert claim(1) == []
    assert Destination.objects.get(name="relay").held_at


def test_the_pace_is_what_the_workers_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "_EVERY", 0.0)
    assert pace.per_second() == 0
    make_verp(people(30))
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert pace.per_second() == 0.5
