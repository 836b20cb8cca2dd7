"""To the sender of a post the list is where it ends (RFC 3461 5.2.7.1)."""

from __future__ import annotations

import pytest

from lists.delivery.actions import fan_out
from lists.models import Post
from smtpd.dsn import Wish
from smtpd.models import Message, Outgoing
from tests.aliases.makers import NICK, OLGA, SAM, make_domain, make_list, send
from tests.sink import Script, Sink
from tests.smtpd.reports.reading import Read, read
from tests.smtpd.sending import run, working

pytestmark = pytest.mark.django_db(transaction=True)

TALK = "talk@lists.test"
DSN = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN")


@pytest.fixture(autouse=True)
def _list() -> None:
    make_domain()
    make_list(TALK, NICK, SAM)


def ask(address: str, notify: str) -> None:
    wish = Wish(notify, "rfc822;a+2Bb")
    reply = send(address, wishes=[wish], ret="FULL", envid="QQ1")
    assert reply.is_positive


def reports() -> list[Read]:
    rows = Message.objects.filter(source=Message.Source.SITE, author__contains="master")
    return [read(bytes(row.raw)) for row in rows.order_by("pk")]


def test_a_post_is_delivered_and_nothing_is_asked_of_the_subscribers() -> None:
    ask(TALK, "SUCCESS,FAILURE")
    [report] = reports()
    assert report.recipient["Action"] == "delivered"
    assert report.recipient["Final-Recipient"] == f"rfc822; {TALK}"
    assert report.recipient["Original-Recipient"] == "rfc822; a+b"
    assert report.message["Original-Envelope-Id"] == "QQ1"
    fan_out(Post.objects.get().pk)
    with Sink(Script(extensions=DSN)) as sink, working(sink) as worker:
        run(worker)
    copies = [message for message in sink.messages if message.sender]
    assert {to for copy in copies for to in copy.recipients} >= {NICK, SAM}
    asked = " ".join(sink.commands)
    assert "NOTIFY" not in asked
    assert "ENVID" not in asked
    assert "ORCPT" not in asked


@pytest.mark.parametrize("notify", ["", "NEVER", "FAILURE,DELAY"])
def test_it_is_told_only_on_request(notify: str) -> None:
    ask(TALK, notify)
    assert reports() == []


def test_the_owners_are_behind_an_alias() -> None:
    ask("talk-owner@lists.test", "SUCCESS,FAILURE")
    assert reports() == []
    outgoing = Outgoing.objects.get(forward_path="talk-owner@lists.test")
    assert outgoing.notify == "SUCCESS,FAILURE"
    assert [row.address for row in outgoing.deliveries.all()] == [OLGA]
