"""One domain that answers nothing, or little, and everybody else (fault F27)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from smtpd.models import Delivery, Destination
from smtpd.queue.worker import Worker
from tests.sink import Script, Sink
from tests.smtpd.net import Net
from tests.smtpd.sending import QUICK, make_outgoing, make_verp
from tests.stack import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 5000
OTHERS = [f"d{number}.test" for number in range(50)]


@pytest.fixture
def net(settings: Settings) -> Iterator[Net]:
    settings.RELAY, settings.WORKERS = "mx", 1
    with ExitStack() as stack:
        yield Net(stack)


@contextmanager
def serving(worker: Worker) -> Iterator[None]:
    """As the tasks do, call after call."""
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            worker.serve(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(30)


def prepare(net: Net) -> Sink:
    """A crowd at hole.test, two people at each of the others, a confirmation."""
    fine = net.server()
    for name in OTHERS:
        net.domain(name, fine)
    net.domain("new.test", fine)
    make_verp([(f"p{at}@hole.test", at) for at in range(CROWD)])
    make_verp([(f"p{at}@{name}", at) for at in range(2) for name in OTHERS])
    make_outgoing([("sam@new.test", None)], lane=0)
    return fine


def test_a_black_hole_keeps_nobody_waiting(net: Net) -> None:
    """It takes the connection and says nothing; the others get all theirs."""
    hole = net.server(Script(greeting=""))
    net.domain("hole.test", hole)
    fine = prepare(net)
    patient = replace(QUICK, greeting=8)
    with net.working(connections=10, timeouts=patient) as worker, serving(worker):
        fine.wait_for(2 * len(OTHERS) + 1, 60)
        wait_until(lambda: hole.open, 5, "it hangs")
        make_verp([(f"later@{name}", at) for at, name in enumerate(OTHERS)])
        worker.serve()
        fine.wait_for(3 * len(OTHERS) + 1, 60)
        assert hole.open, "it hangs still"
        assert not Destination.objects.exists()
    waiting = Delivery.objects.waiting().filter(destination="hole.test")
    assert waiting.count() == CROWD
    assert not waiting.exclude(attempts=0).exists()
    assert len(set(fine.recipients())) == 3 * len(OTHERS) + 1


def test_a_tarpit_keeps_nobody_waiting(net: Net) -> None:
    """It takes mail, each as slowly as it can."""
    tarpit = net.server(Script(latency=1))
    net.domain("hole.test", tarpit)
    fine = prepare(net)
    with net.working(connections=30) as worker, serving(worker):
        tarpit.wait_for(1, 60)
        fine.wait_for(2 * len(OTHERS) + 1, 60)
    assert len(tarpit.recipients()) < CROWD / 2
    assert len(set(fine.recipients())) == 2 * len(OTHERS) + 1


def test_a_limit_keeps_nobody_else_waiting(net: Net) -> None:
    Destination.objects.create(
        name="hole.test", most_copies=1, period=Destination.Period.HOUR
    )
    slow = net.server()
    net.domain("hole.test", slow)
    fine = prepare(net)
    with net.working(connections=10) as worker, serving(worker):
        fine.wait_for(2 * len(OTHERS) + 1, 60)
        slow.wait_for(1, 60)
    assert len(slow.recipients()) == 1
    assert len(set(fine.recipients())) == 2 * len(OTHERS) + 1
