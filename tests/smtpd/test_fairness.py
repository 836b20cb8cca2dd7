"""Large and small messages that wait for the same destination."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from smtpd.models import Delivery, Outgoing
from smtpd.queue import actions, due, ledger, schedule
from smtpd.queue.ledger import Change
from smtpd.queue.rota import BULK, Turn
from tests.sink import Received, Script, Sink
from tests.smtpd.sending import make_verp, run, working

pytestmark = pytest.mark.django_db(transaction=True)

RELAY = Turn("relay", BULK, 50)


def freeze(word: str, count: int) -> Outgoing:
    """A post of so many recipients, as a list freezes it."""
    outgoing = make_verp([])
    Delivery.objects.bulk_create(
        Delivery(
            outgoing=outgoing,
            address=f"{word}{at}@home.test",
            ref=at,
            destination="home.test",
            lane=1,
            state="cancelled",
            next_attempt_at=timezone.now(),
            updated_at=timezone.now(),
        )
        for at in range(count)
    )
    query: QuerySet[Any] = outgoing.deliveries.order_by("id")
    rows = query.values_list("address", "ref", "destination")
    assert actions.freeze(outgoing, rows.query.sql_with_params()) == count
    query.filter(state="cancelled").delete()
    return outgoing


def words(sink: Sink) -> list[str]:
    """Whose each copy was, in the order of coming."""
    return [to.partition("@")[0].rstrip("0123456789") for to in sink.recipients()]


def test_a_small_post_passes_a_large_one() -> None:
    """Long after the large one began, and far from its end."""
    with Sink(Script(latency=0.001)) as sink, working(sink, connections=2) as worker:
        freeze("big", 3000)
        is_under_way = threading.Event()

        def count(_: Received) -> None:
            if len(sink.messages) == 1000:
                is_under_way.set()

        sink.on_message = count
        thread = threading.Thread(target=run, args=(worker, 60))
        thread.start()
        assert is_under_way.wait(60)
        freeze("small", 10)
        thread.join(60)
        assert not thread.is_alive()
    order = words(sink)
    assert Counter(order) == {"big": 3000, "small": 10}
    assert len(order) - order[::-1].index("small") < 2500, "they came at the end"


def test_two_large_posts_share() -> None:
    with Sink() as sink, working(sink) as worker:
        freeze("one", 400)
        freeze("two", 400)
        run(worker)
    first = Counter(words(sink)[:400])
    assert min(first["one"], first["two"]) > 100


def test_a_slow_destination_is_shared_as_well() -> None:
    """Hours later, when little of a large post has left."""
    freeze("big", 1000)
    ledger.claim([RELAY])
    ago = timezone.now() - timedelta(hours=9)
    for row in Delivery.objects.waiting().filter(lease=None):
        row.next_attempt_at -= timedelta(hours=9)
        row.updated_at = ago
        row.save()
    freeze("small", 10)
    taken = ledger.claim([RELAY])
    assert sum(row.address.startswith("small") for row in taken) == 10


def test_what_is_given_back_keeps_its_turn() -> None:
    freeze("big", 100)
    mine = ledger.claim([RELAY])
    ledger.record([Change(row, "queued", is_attempt=False) for row in mine])
    again = {row.id for row in ledger.claim([RELAY])}
    assert len(again & {row.id for row in mine}) >= 49, "one may be at the same time"


def test_a_million_are_due_at_once() -> None:
    now = timezone.now()
    positions = [schedule.position(now, number) for number in (0, 1, 10**6)]
    assert positions == sorted(positions)
    assert positions[-1] == now
    post = freeze("sam", 3)
    post.deliveries.update(next_attempt_at=now + timedelta(days=1))
    freeze("mori", 3)
    assert not Delivery.objects.filter(
        address__startswith="mori", next_attempt_at__gt=timezone.now()
    ).exists()


def test_a_position_in_line_is_no_age() -> None:
    """What was frozen a moment ago has not waited since then."""
    assert due.oldest() is None
    before = timezone.now() - timedelta(seconds=1)
    freeze("sam", 2)
    found = due.oldest()
    assert found is not None
    assert before < found <= timezone.now()
    for row in Delivery.objects.all():
        assert row.next_attempt_at < before < row.due_at
    ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(address="sam1@home.test").update(
        updated_at=ago, next_attempt_at=ago - timedelta(hours=2)
    )
    assert due.oldest() == ago


def test_further_tries_do_not_wait_for_all_of_a_large_post() -> None:
    make_verp([("sam@home.test", 1)])
    freeze("big", 100)
    now = timezone.now()
    sam = Delivery.objects.filter(address="sam@home.test")
    sam.update(attempts=1, next_attempt_at=now - timedelta(minutes=5))
    assert not ledger.bring_forward(), "it is in time"
    sam.update(next_attempt_at=now - timedelta(minutes=11))
    assert ledger.bring_forward() == 1
    assert not ledger.bring_forward()
    assert "sam@home.test" in {row.address for row in ledger.claim([RELAY])}
