"""What an admin allows a destination, and what it asks for itself."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from smtpd.models import Delivery, Destination
from smtpd.queue import ledger, schedule
from smtpd.queue.allowances import prune
from smtpd.queue.rota import BULK, Turn
from smtpd.queue.schedule import Allowance
from tests.sink import Received, Script, Sink
from tests.smtpd.sending import make_outgoing, make_verp, people, run, states, working

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
HOUR = Destination.Period.HOUR


def limit(**told: Any) -> None:
    Destination.objects.create(name="relay", **told)


def relay() -> Destination:
    return Destination.objects.get(name="relay")


def at_most_open(sink: Sink) -> list[int]:
    """How many connections there were at each message."""
    seen: list[int] = []

    def look(_: Received) -> None:
        seen.append(len(sink.open))

    sink.on_message = look
    return seen


@pytest.mark.parametrize("most", [1, 2, 9, 10, 60, 1000])
@pytest.mark.parametrize("wanted", [1, 50])
def test_no_period_has_more(most: int, wanted: int) -> None:
    allowance = Allowance(most, timedelta(minutes=1))
    spent, now, sent = NOON, NOON, []
    while now < NOON + timedelta(minutes=3):
        count = allowance.take(spent, now, wanted)
        sent += [now] * count
        spent = max(spent, now) + count * allowance.step
        now += max(allowance.wait(spent, now), timedelta(milliseconds=1))
    assert len(sent) > most * 2.6, "and nearly as many go as may"
    for first, behind in zip(sent, sent[most:], strict=False):
        assert behind - first > timedelta(seconds=59.9)


def test_connections_are_limited() -> None:
    limit(most_connections=2)
    make_verp(people(60))
    make_outgoing([("fast@home.test", 1)], lane=0)
    with Sink(Script(latency=0.005)) as sink, working(sink, connections=6) as worker:
        seen = at_most_open(sink)
        run(worker)
    assert states() == {"sent": 61}
    assert max(seen) <= 2


def test_one_connection_takes_both_lanes() -> None:
    limit(most_connections=1)
    make_verp(people(30))
    make_outgoing([("fast@home.test", 1)], lane=0)
    with Sink() as sink, working(sink, connections=6) as worker:
        seen = at_most_open(sink)
        run(worker)
        assert states() == {"sent": 31}
        make_verp(people(30))
        run(worker)
    assert states() == {"sent": 61}
    assert max(seen) == 1


def test_all_processes_share_the_connections() -> None:
    limit(most_connections=1)
    make_verp(people(120))
    with (
        Sink(Script(latency=0.002)) as sink,
        working(sink) as one,
        working(sink) as two,
    ):
        seen = at_most_open(sink)
        threads = [
            threading.Thread(target=each.serve, args=(3,)) for each in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        sink.wait_for(120)
    assert max(seen) == 1
    assert relay().served_until is None, "whoever ends leaves it to others"


def test_copies_of_a_period_are_limited_over_restarts() -> None:
    """Forty an hour: four at once, then one each 97 seconds."""
    limit(most_copies=40, period=HOUR)
    make_verp(people(30))
    with Sink() as sink:
        for _ in range(3):
            with working(sink) as one, working(sink) as two:
                run(one)
                run(two)
        assert states() == {"sent": 4, "queued": 26}
        spent = relay().spent_until
        assert spent is not None
        Destination.objects.update(spent_until=spent - timedelta(seconds=300))
        with working(sink) as worker:
            run(worker)
    assert states() == {"sent": 7, "queued": 23}
    waiting = Delivery.objects.waiting()
    assert set(waiting.values_list("attempts", "claims")) == {(0, 0)}


def test_what_is_not_taken_is_given_back() -> None:
    limit(most_copies=1000, period=HOUR)
    before = timezone.now()
    make_verp(people(3))
    with Sink() as sink, working(sink) as worker:
        run(worker)
    spent = relay().spent_until
    assert states() == {"sent": 3}
    assert spent is not None
    assert spent - before < timedelta(hours=1) / 901 * 3 + (timezone.now() - before)


def test_a_wait_for_the_next_copy_is_short_enough_to_stay() -> None:
    limit(most_copies=1200)
    make_verp(people(130))
    with Sink() as sink, working(sink) as worker:
        run(worker, 30)
    assert states() == {"sent": 130}


SLOW = "451 4.7.1 you send too fast"


def test_a_host_that_asks_for_less_gets_a_break() -> None:
    make_verp(people(200))
    refused = {address: [SLOW] for address, _ in people(200)}
    with Sink(Script(rcpt=dict(refused))) as sink:
        with working(sink) as worker:
            run(worker)
        host = relay()
        assert host.slowdowns == 1
        assert SLOW in host.last_failure
        assert host.code == 451
        assert host.backoff_until is not None
        rest = host.backoff_until - timezone.now()
        assert timedelta(0) < rest <= schedule.FIRST_BREAK
        rows = Delivery.objects.waiting()
        assert rows.count() == 200
        assert rows.filter(attempts=0).count() > 150, "the others were not asked"
        assert not ledger.claim([Turn("relay", BULK, 50)]), "nobody else asks"
        # The same again: a longer one.
        Destination.objects.update(backoff_until=timezone.now())
        with working(sink) as worker:
            run(worker)
        assert relay().slowdowns == 2
        # Better now.
        sink.script.rcpt.clear()
        Destination.objects.update(backoff_until=timezone.now())
        Delivery.objects.waiting().update(next_attempt_at=timezone.now())
        with working(sink) as worker:
            run(worker)
    assert states() == {"sent": 200}
    host = relay()
    assert (host.slowdowns, host.backoff_until) == (0, None)


@pytest.mark.parametrize(
    "reply", ["450 4.2.1 that mailbox gets too much", "451 4.3.0 disk", "550 5.1.1 no"]
)
def test_trouble_of_one_mailbox_slows_nobody(reply: str) -> None:
    make_verp(people(60))
    rcpt: dict[str, str | list[str]] = {f"sam{at}@home.test": reply for at in range(30)}
    with Sink(Script(rcpt=rcpt)) as sink, working(sink) as worker:
        run(worker)
    assert states()["sent"] == 30
    assert not Destination.objects.exists()


def test_connections_that_are_too_many_are_closed() -> None:
    """Asked once or twice for less, we go on with fewer, and lose nothing."""
    make_verp(people(400))
    slow: list[str] = [SLOW]
    rcpt: dict[str, str | list[str]] = {f"sam{at}@home.test": slow for at in (200, 201)}
    with (
        Sink(Script(rcpt=rcpt, latency=0.005)) as sink,
        working(sink, connections=8) as worker,
    ):
        seen = at_most_open(sink)
        run(worker, 30)
    assert states() == {"sent": 399, "queued": 1}
    assert not Destination.objects.exists()
    fewer = min(seen[200:])
    assert fewer < max(seen[:200]), "some were closed"
    assert max(seen[seen.index(fewer, 200) :]) > fewer, "and opened when it was well"


def test_too_many_connections_for_421_are_fewer_soon() -> None:
    make_verp(people(40))
    told = ["421 4.7.0 too many connections"]
    with Sink(Script(verbs={"MAIL": list(told)})) as sink, working(sink) as worker:
        run(worker, 30)
    assert states() == {"sent": 40}


def test_breaks_grow() -> None:
    waits = [schedule.pause(count, 0).total_seconds() for count in range(6)]
    assert waits == [30, 60, 120, 240, 480, 600]
    assert schedule.pause(0, 1).total_seconds() == 22.5


def test_what_nobody_needs_is_forgotten() -> None:
    long_ago = timezone.now() - timedelta(days=8)
    keep: dict[str, dict[str, Any]] = {
        "limited.test": {"most_copies": 5},
        "held.test": {"held_at": long_ago},
        "lately.test": {"last_failure_at": timezone.now()},
        "relay": {"last_failure_at": long_ago},
    }
    for name, told in keep.items():
        Destination.objects.create(name=name, **told)
    Destination.objects.create(name="gone.test", failures=3, last_failure_at=long_ago)
    make_verp(people(1))
    assert prune() == 1
    assert set(Destination.objects.values_list("name", flat=True)) == set(keep)
