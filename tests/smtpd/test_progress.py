"""How far the copies of a message are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from smtpd import backlog, progress
from smtpd.models import Delivery, Outgoing
from smtpd.progress import Progress, apart, span
from smtpd.queue.orders import Order
from tests.sink import Sink
from tests.smtpd.sending import make_verp, order, people, run, working

pytestmark = pytest.mark.django_db(transaction=True)


def read(outgoing: Outgoing) -> Progress:
    backlog.forget()
    return progress.read(outgoing.message)


def test_each_copy_is_counted_where_it_is() -> None:
    outgoing = make_verp(people(6))
    assert str(read(outgoing)) == "0 of 6 sent, 6 in line"
    assert read(outgoing).times == ""
    ids = list(Delivery.objects.values_list("pk", flat=True))
    for pk, fields in zip(
        ids,
        (
            {"state": "sent"},
            {"failure": "rate"},
            {"state": "held"},
            {"state": "failed"},
            {"state": "cancelled"},
        ),
        strict=False,
    ):
        Delivery.objects.filter(pk=pk).update(**fields)
    assert str(read(outgoing)).startswith(
        "1 of 6 sent, 1 in line, 1 waiting, 1 on hold, 1 failed, 1 dropped"
    )


def test_the_first_and_the_last_copy_have_their_times() -> None:
    outgoing = make_verp(people(5))
    with Sink() as sink, working(sink) as worker:
        run(worker)
    found = read(outgoing)
    assert (found.sent, found.total, found.is_running) == (5, 5, False)
    assert found.first_after is not None
    assert found.last_after is not None
    assert timedelta(0) < found.first_after <= found.last_after
    assert "last copy after" in found.times


def test_rows_that_are_no_longer_kept_count_too() -> None:
    outgoing = make_verp(people(1))
    order(Order.DROP)
    Outgoing.objects.update(pruned_sent=41, pruned_failed=1)
    assert str(read(outgoing)) == "41 of 43 sent, 1 failed, 1 dropped"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.084, "0.08 s"), (12, "12 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_times_are_for_people(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a minute"),
        (59, "under a minute"),
        (60, "1\xa0minute"),
        (7300, "2\xa0hours"),
    ],
)
def test_how_far_moments_are_apart_whichever_is_first(seconds: int, words: str) -> None:
    now = timezone.now()
    then = now + timedelta(seconds=seconds)
    assert apart(now, then) == apart(then, now) == words
