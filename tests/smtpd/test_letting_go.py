"""What goes wrong in ourselves costs one message its turn, and no other anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import cast

import pytest
from django.db import connection
from django.utils import timezone

from smtpd.models import Delivery, Outgoing
from smtpd.outbound.client import Connection
from smtpd.outbound.relay import TLS, Hop
from smtpd.outbound.results import Outcome
from smtpd.outbound.transaction import Transaction
from smtpd.queue import ledger
from smtpd.queue.ledger import BATCH, Change
from smtpd.queue.recorder import Recorder
from smtpd.queue.rota import Turn
from smtpd.queue.telling import Teller
from smtpd.routing import Door, doors
from tests.sink import Script, Sink
from tests.smtpd.sending import make_outgoing, make_verp, people, run, states, working
from tests.stack import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
# No database has room for it.
TOO_MUCH = 10**30


def test_a_result_that_the_database_will_not_have_stops_no_other() -> None:
    make_outgoing(people(3))

    async def main(rows: Sequence[ledger.Claimed]) -> Recorder:
        recorder = Recorder(lambda: None, lambda failed: None)
        recorder.take(rows)
        for row in rows:
            code = TOO_MUCH if row is rows[1] else 250
            recorder.put(Change(row, Delivery.State.SENT, code=code))
        await recorder.end(10)
        return recorder

    recorder = asyncio.run(main(ledger.claim([Turn("relay", Outgoing.Lane.BULK, 3)])))
    recorder.close()
    assert recorder.in_hand == 0
    assert states() == {"sent": 2, "queued": 1}


def test_a_broken_message_takes_no_other_along() -> None:
    make_verp(people(3))
    broken = make_verp([("olga@home.test", 1)])
    Outgoing.objects.filter(pk=broken.pk).update(body_splices=["not", "numbers"])
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert states() == {"sent": 3, "quarantined": 1}
    row = Delivery.objects.get(outgoing=broken)
    assert "we failed" in row.text


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="nobody can end a connection from outside"
)
def test_a_database_that_goes_behind_the_claim_leaves_nothing_in_hand() -> None:
    make_verp(people(3))
    with Sink() as sink, working(sink) as worker:
        with closing(connection.copy()) as other:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute("LOCK TABLE smtpd_message IN ACCESS EXCLUSIVE MODE")
            sending = threading.Thread(target=worker.serve, args=(20,))
            sending.start()
            wait_until(_end_who_waits, 10, "a claim waits for its message")
            other.rollback()
        sink.wait_for(3, 10)
        sending.join()
    rows = Delivery.objects.values_list("state", "attempts", "ambiguous", "claims")
    assert list(rows) == [("sent", 1, 0, 0)] * 3


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="it has no locks for one table"
)
def test_records_that_take_longer_than_a_lease_end_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "LEASE", timedelta(seconds=1))
    make_verp(people(120))
    with Sink() as sink, working(sink) as worker:
        with closing(connection.copy()) as other:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                # Where the thread that records says how much it has done.
                cursor.execute("LOCK TABLE smtpd_pace IN ACCESS EXCLUSIVE MODE")
            assert worker.serve(3), "results wait"
            queued = Delivery.objects.filter(state=Delivery.State.QUEUED)
            in_hand = queued.filter(lease__isnull=False)
            assert in_hand.exists()
            assert not in_hand.filter(next_attempt_at__lte=timezone.now()).exists()
            other.rollback()
        run(worker)
    rows = Delivery.objects.values_list("state", "attempts", "ambiguous", "claims")
    assert set(rows) == {("sent", 1, 0, 0)}
    assert len(sink.recipients()) == 120


def _end_who_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(cursor.fetchall())


def test_a_copy_that_cannot_be_made_is_tried_later() -> None:
    """The one on the wire before it as well; nothing stays in anybody's hands."""

    def broken() -> bytes:
        raise ZeroDivisionError

    fine = Transaction("a@lists.test", ["b@home.test"], lambda: b"\r\n.\r\n")
    bad = Transaction("a@lists.test", ["c@home.test"], broken)
    given = iter((fine, bad))
    done: list[Transaction] = []

    async def main(port: int) -> Transaction | None:
        hop = Hop("127.0.0.1", port, tls=TLS.NONE, helo="mx.lists.test")
        connected = await Connection.open(hop)
        unsent = await connected.send(lambda: next(given, None), done.append)
        assert not connected.is_usable
        return unsent

    with Sink() as sink:
        assert asyncio.run(main(sink.port)) is None
    assert done == [fine, bad]
    assert [each.results[0].outcome for each in done if each.results[0]] == [
        Outcome.SENT,
        Outcome.TRY_LATER,
    ]


class SlowDoor:
    """Hears of failures when it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.heard: list[int] = []

    def failed(self, delivery_ids: Sequence[int]) -> None:
        self.may_go_on.wait(30)
        self.heard.extend(delivery_ids)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDoor:
    door = SlowDoor()
    monkeypatch.setitem(doors(), "slow", cast("Door", door))
    return door


def test_who_is_slow_to_hear_of_failures_keeps_no_result_waiting(
    slow: SlowDoor,
) -> None:
    refused = make_verp([("no@home.test", 1)])
    make_verp(people(120))
    script = Script(rcpt={"no@home.test": "550 5.1.1 no"})
    with Sink(script) as sink, working(sink) as worker:
        assert worker.serve(1), "somebody has not been told"
        done = {"sent": 120, "failed": 1}
        wait_until(lambda: states() == done, 10, "results wait for it")
        slow.may_go_on.set()
        run(worker)
    assert slow.heard == [refused.deliveries.get().pk]


def test_a_process_that_ends_leaves_the_telling_to_the_sweeps(slow: SlowDoor) -> None:
    async def main() -> Teller:
        teller = Teller()
        teller.put(range(3 * BATCH))
        await teller.end()
        return teller

    teller = asyncio.run(main())
    slow.may_go_on.set()
    teller.close()
    assert slow.heard == list(range(BATCH))
