"""Makers for the tests of the queue: a message on its way to some people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from smtpd.models import Delivery, Message, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.outbound.relay import TLS, Hop
from smtpd.outbound.wire import Timeouts
from smtpd.queue.actions import enqueue
from smtpd.queue.orders import Order, give
from smtpd.queue.ways import to_relay
from smtpd.queue.worker import Worker
from tests.sink import Sink

HEAD = (
    b"From: Olga <olga@lists.test>\r\nTo: talk@lists.test\r\n"
    b"Subject: tea\r\nMessage-ID: <1@lists.test>\r\n"
)
BODY = b"Hello\r\n.hidden\r\nBye\r\n"
QUICK = Timeouts(connect=2, greeting=2, command=2, data=2, dot=2, transaction=10)


def make_message() -> Message:
    raw = HEAD + b"\r\n" + BODY
    return Message.objects.create(
        size=len(raw),
        sha256="",
        body_at=len(HEAD) + 2,
        raw=raw,
        msg_id="<1@lists.test>",
    )


def make_outgoing(
    recipients: Iterable[tuple[str, int | None]], **fields: Any
) -> Outgoing:
    told = {
        "lane": Outgoing.Lane.BULK,
        "envelope": Outgoing.Envelope.FIXED,
        "reverse_path": "talk-owner@lists.test",
        "head": HEAD,
    } | fields
    outgoing = Outgoing.objects.create(message=make_message(), **told)
    enqueue(outgoing, recipients)
    return outgoing


def make_verp(recipients: Iterable[tuple[str, int | None]], **fields: Any) -> Outgoing:
    told = {
        "envelope": Outgoing.Envelope.VERP,
        "reverse_path": "lists.test",
        "copy_head": b"List-Unsubscribe: <https://lists.test/u/{token}>\r\n",
    } | fields
    return make_outgoing(recipients, **told)


def people(count: int) -> list[tuple[str, int | None]]:
    return [(f"sam{at}@home.test", at + 1) for at in range(count)]


@contextmanager
def working(
    sink: Sink, *, connections: int = 3, timeouts: Timeouts = QUICK
) -> Iterator[Worker]:
    hop = Hop("127.0.0.1", sink.port, tls=TLS.NONE, helo="mx.lists.test")
    worker = Worker(to_relay(hop, connections), timeouts)
    try:
        yield worker
    finally:
        worker.stop(5)


def run(worker: Worker, seconds: float = 10) -> None:
    """Until nothing is due."""
    assert not worker.serve(seconds), "still something to do"


def states() -> dict[str, int]:
    return Delivery.objects.by_state()


def order(what: Order, rows: DeliveryQuerySet | None = None) -> int:
    """As a person orders it; of all rows, or of these. How many were changed."""
    return give(what, Delivery.objects.all() if rows is None else rows, "root").count


def retry() -> int:
    """Have everything tried now."""
    return order(Order.RETRY)
