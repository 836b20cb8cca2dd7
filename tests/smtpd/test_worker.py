"""Claim, send, record: against the real database and a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from smtpd.models import Delivery, Destination, Outgoing
from smtpd.queue import deaths, due, ledger
from smtpd.queue.orders import Order
from smtpd.queue.rota import Turn
from smtpd.tokens import Purpose, make, read
from tests.sink import Received, Script, Sink
from tests.smtpd.sending import (
    make_outgoing,
    make_verp,
    order,
    people,
    retry,
    run,
    states,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)


def claim(limit: int) -> list[ledger.Claimed]:
    return ledger.claim([Turn("relay", Outgoing.Lane.BULK, limit)])


def test_copies_alike_share_a_transaction() -> None:
    make_outgoing(people(120))
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert sorted(sink.recipients()) == sorted(name for name, _ in people(120))
    assert max(len(message.recipients) for message in sink.messages) == 50
    assert states() == {"sent": 120}
    row = Delivery.objects.first()
    assert row is not None
    assert (row.code, row.enhanced, row.attempts, row.claims, row.lease) == (
        250,
        "2.0.0",
        1,
        0,
        None,
    )
    assert row.text.startswith("taken as")
    assert row.host == sink.relay


def test_each_member_gets_a_copy_of_their_own() -> None:
    make_verp(people(120), body=b"Leave: \r\n.\r\n", body_splices=[7])
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert len(sink.messages) == 120
    for message in sink.messages:
        (address,) = message.recipients
        row = Delivery.objects.get(address=address)
        assert row.ref is not None
        local_part, _, domain = message.sender.partition("@")
        assert read(Purpose.BOUNCE, local_part.removeprefix("bounces+")) == row.pk
        assert domain == "lists.test"
        token = make(Purpose.UNSUBSCRIBE, row.ref).encode()
        assert b"<https://lists.test/u/" + token + b">\r\n\r\nLeave: " in message.raw
        assert message.raw.endswith(b"Leave: " + token + b"\r\n.\r\n")


def test_mixed_replies_are_told_apart() -> None:
    make_outgoing([("sam@home.test", 1), ("mori@home.test", 2), ("nick@home.test", 3)])
    script = Script(
        rcpt={"mori@home.test": "450 4.2.1 later", "nick@home.test": "550 5.1.1 who?"}
    )
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
    assert sink.recipients() == ["sam@home.test"]
    rows = {row.address.partition("@")[0]: row for row in Delivery.objects.all()}
    assert rows["sam"].state == "sent"
    assert rows["mori"].state == "queued"
    assert rows["mori"].next_attempt_at > timezone.now() + timedelta(minutes=3)
    assert (rows["mori"].code, rows["mori"].enhanced) == (450, "4.2.1")
    assert (rows["nick"].state, rows["nick"].code) == ("failed", 550)


def test_greylisted_copy_arrives_once() -> None:
    make_outgoing([("sam@home.test", 1)])
    script = Script(rcpt={"sam@home.test": ["450 4.7.1 greylisted"]})
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        assert retry() == 1
        run(worker)
    assert sink.recipients() == ["sam@home.test"]
    assert Delivery.objects.get().attempts == 2


def test_lost_reply_is_ambiguous_and_sent_again_unchanged() -> None:
    make_verp([("sam@home.test", 1)])
    with Sink(Script(drop={"DOT": 1})) as sink, working(sink) as worker:
        run(worker)
        row = Delivery.objects.get()
        assert (row.state, row.ambiguous, row.code) == ("queued", 1, None)
        retry()
        run(worker)
    first, second = sink.messages
    assert first.raw == second.raw
    assert first.sender == second.sender
    assert states() == {"sent": 1}


def test_connection_closed_after_ten_messages_costs_nothing() -> None:
    make_verp(people(100))
    with Sink(Script(most_messages=10)) as sink, working(sink) as worker:
        run(worker)
    assert Counter(sink.recipients()).most_common(1)[0][1] == 1
    assert states() == {"sent": 100}
    assert not Delivery.objects.exclude(ambiguous=0).exists()


def test_message_the_host_cannot_bear_is_tried_later() -> None:
    make_verp([("sam@home.test", 1)])
    with Sink(Script(drop={"DATA": 9})) as sink, working(sink) as worker:
        run(worker)
    row = Delivery.objects.get()
    assert (row.state, row.ambiguous, row.attempts) == ("queued", 0, 1)
    assert row.next_attempt_at > timezone.now() + timedelta(minutes=3)


@pytest.mark.parametrize(
    "script",
    [
        Script(greeting="554 5.7.1 go away"),
        Script(greeting="421 4.3.2 busy"),
        Script(verbs={"EHLO": "451 4.3.0 no"}),
        Script(verbs={"EHLO": "502 5.5.1 no", "HELO": "554 5.7.1 no"}),
    ],
    ids=["greeting-5", "greeting-4", "ehlo-4", "helo-5"],
)
def test_refusing_host_is_left_alone_and_nobody_is_blamed(script: Script) -> None:
    make_verp(people(3))
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        host = Destination.objects.get(name="relay")
        assert host.failures == 1
        assert host.backoff_until is not None
        assert host.backoff_until > timezone.now()
        tried = sink.connections
        run(worker)
        assert sink.connections == tried, "asked although it was to be left alone"
    assert not any(host.is_due for host in due.walk())
    assert {row.state for row in Delivery.objects.all()} == {"queued"}
    assert {row.attempts for row in Delivery.objects.all()} == {0}


def test_host_that_is_back_gets_what_waited() -> None:
    make_verp(people(3))
    with Sink(Script(greeting="421 4.3.2 busy")) as sink, working(sink) as worker:
        run(worker)
        Destination.objects.update(backoff_until=timezone.now())
        sink.script.greeting = "220 sink"
        run(worker)
        sink.wait_for(3)
    host = Destination.objects.get()
    assert (host.failures, host.backoff_until) == (0, None)
    assert states() == {"sent": 3}


def test_old_message_is_given_up() -> None:
    outgoing = make_outgoing([("sam@home.test", 1)])
    long_ago = timezone.now() - timedelta(days=settings.GIVE_UP_DAYS)
    Outgoing.objects.filter(pk=outgoing.pk).update(created_at=long_ago)
    script = Script(rcpt={"sam@home.test": "450 4.2.1 later"})
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
    row = Delivery.objects.get()
    assert (row.state, row.code) == ("failed", 450)


def test_fourth_claim_is_quarantined() -> None:
    make_outgoing([("sam@home.test", 1), ("mori@home.test", 2)])
    Delivery.objects.filter(address="sam@home.test").update(claims=3)
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert sink.recipients() == ["mori@home.test"]
    row = Delivery.objects.get(address="sam@home.test")
    assert row.state == "quarantined"
    assert row.text


def test_unsendable_message_is_quarantined_with_the_reason() -> None:
    make_outgoing([("sam@home.test", 1)], head=b"Subject: a\r\n\r\nevil")
    with Sink() as sink, working(sink) as worker:
        run(worker)
    row = Delivery.objects.get()
    assert (row.state, sink.messages) == ("quarantined", [])
    assert "header section" in row.text


def test_fast_lane_goes_first() -> None:
    make_verp(people(400))
    make_outgoing([("olga@home.test", None)], lane=Outgoing.Lane.FAST, reverse_path="")
    with Sink(Script(latency=0.01)) as sink, working(sink) as worker:
        run(worker, 20)
    place = sink.recipients().index("olga@home.test")
    assert place < 10


def test_fast_row_that_comes_late_waits_for_no_queue() -> None:
    make_verp(people(300))
    with Sink(Script(latency=0.05)) as sink, working(sink) as worker:
        bulk = threading.Thread(target=run, args=(worker, 30))
        bulk.start()
        sink.wait_for(10)
        make_outgoing([("olga@home.test", None)], lane=Outgoing.Lane.FAST)
        asked_at = time.monotonic()
        while "olga@home.test" not in sink.recipients():
            assert time.monotonic() < asked_at + 3
            time.sleep(0.01)
        bulk.join()
    assert states() == {"sent": 301}


def test_two_workers_send_each_copy_once() -> None:
    make_verp(people(1000))
    with Sink() as sink, working(sink) as one, working(sink) as two:
        threads = [threading.Thread(target=run, args=(it, 30)) for it in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(sink.recipients()) == Counter(name for name, _ in people(1000))
    assert states() == {"sent": 1000}


def test_one_call_is_enough_however_long_it_takes() -> None:
    """The task that calls is over long before, and others have its place."""
    make_verp(people(300))
    with Sink(Script(latency=0.05)) as sink, working(sink) as worker:
        assert worker.serve()
        sink.wait_for(300, 60)
        run(worker)
    assert states() == {"sent": 300}


def test_stop_gives_back_what_was_not_begun() -> None:
    make_verp(people(200))
    with Sink(Script(latency=0.05)) as sink:
        with working(sink) as worker:
            worker.serve(0.2)
        assert 0 < len(sink.messages) < 200
        sent = len(sink.messages)
        assert states() == {"sent": sent, "queued": 200 - sent}
        assert not Delivery.objects.waiting().exclude(lease=None).exists()
        sink.script.latency = 0
        with working(sink) as worker:
            run(worker)
    assert Counter(sink.recipients()) == Counter(name for name, _ in people(200))


def test_result_of_an_old_lease_changes_nothing() -> None:
    make_outgoing([("sam@home.test", 1)])
    (old,) = claim(50)
    assert claim(50) == []
    Delivery.objects.update(next_attempt_at=timezone.now())
    (new,) = deaths.take(claim(50))
    assert ledger.record([ledger.Change(old, "failed")]) == set()
    assert ledger.record([ledger.Change(new, "sent")]) == {new.id}
    row = Delivery.objects.get()
    assert (row.state, row.ambiguous) == ("sent", 1)


def test_renewed_lease_outlives_its_first_end() -> None:
    make_verp(people(2))
    rows = claim(1)
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=1))
    ledger.renew({"relay"}, {rows[0].lease})
    kept = Delivery.objects.get(pk=rows[0].id).next_attempt_at
    other = Delivery.objects.exclude(pk=rows[0].id).get().next_attempt_at
    assert kept > timezone.now() + ledger.LEASE / 2
    assert other < timezone.now() + timedelta(seconds=2)


def test_cancelled_row_is_never_sent() -> None:
    make_outgoing(people(2))
    assert order(Order.DROP, Delivery.objects.filter(address="sam0@home.test")) == 1
    retry()
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert sink.recipients() == ["sam1@home.test"]


WORK = """
import django; django.setup()
from django.db import connection
from smtpd.outbound.relay import Hop, TLS
from smtpd.queue.ways import to_relay
from smtpd.queue.worker import Worker
Worker(to_relay(Hop("127.0.0.1", {port}, tls=TLS.NONE), 3)).serve(60)
"""


def test_killed_worker_loses_nobody() -> None:
    make_verp(people(300))
    database = connection.settings_dict
    url = (
        f"sqlite:///{database['NAME']}"
        if connection.vendor == "sqlite"
        else f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}"
        f"/{database['NAME']}"
    )
    with Sink(Script(latency=0.02)) as sink:
        child = subprocess.Popen(
            [sys.executable, "-c", WORK.format(port=sink.port)],
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            },
        )

        def kill(message: Received) -> None:
            if len(sink.messages) == 60:
                child.send_signal(signal.SIGKILL)

        sink.on_message = kill
        child.wait(60)
        assert child.returncode == -signal.SIGKILL
        sink.on_message = lambda message: None
        sink.script.latency = 0
        assert states().get("sent", 0) < 300
        Delivery.objects.waiting().update(next_attempt_at=timezone.now())
        with working(sink) as worker:
            run(worker, 30)
    copies = Counter(sink.recipients())
    assert set(copies) == {name for name, _ in people(300)}
    assert states() == {"sent": 300}
    twice = [name for name, count in copies.items() if count > 1]
    assert max(copies.values()) <= 2
    assert len(twice) <= 60
    doubtful = set(
        Delivery.objects.filter(ambiguous__gt=0).values_list("address", flat=True)
    )
    assert set(twice) <= doubtful
