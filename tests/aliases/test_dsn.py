"""What the sender of forwarded mail asks to hear (RFC 3461 5.2), by the worker."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aliases import actions
from smtpd.dsn import Wish
from smtpd.models import Delivery, Event, Message, Outgoing, Report
from smtpd.queue.orders import Order
from smtpd.reports import actions as reporting
from smtpd.reports import debts
from smtpd.reports.tasks import sweep
from tests.aliases.makers import MAIL, NICK, OLGA, SAM, make_domain, make_list, send
from tests.at_once import THREADS, at_once
from tests.sink import Received, Script, Sink
from tests.smtpd.reports.reading import Read, read
from tests.smtpd.sending import order, run, working

pytestmark = pytest.mark.django_db(transaction=True)

TEAM = "team@lists.test"
ALL = "SUCCESS,FAILURE,DELAY"
ORCPT = "rfc822;Team+2Bx@lists.test"
PLAIN = ("PIPELINING", "8BITMIME", "SMTPUTF8")
DSN = (*PLAIN, "DSN")


@pytest.fixture(autouse=True)
def _domain() -> None:
    make_domain()


def ask(notify: str = "", orcpt: str = "", **asked: Any) -> None:
    wishes = [Wish(notify, orcpt)]
    assert send(TEAM, wishes=wishes, **asked).is_positive


def reports() -> list[Read]:
    rows = Message.objects.filter(source=Message.Source.SITE).order_by("pk")
    return [read(bytes(row.raw)) for row in rows]


def told() -> list[str]:
    return [str(report.recipient["Action"]) for report in reports()]


def deliver(script: Script) -> tuple[list[Received], list[str]]:
    """Send all there is, reports included; what came, and how it was asked for."""
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        sweep()
        run(worker)
    return sink.messages, [c for c in sink.commands if c[:4] in ("MAIL", "RCPT")]


def test_an_alias_of_one_passes_it_on_to_a_server_with_dsn() -> None:
    actions.create(TEAM, [SAM])
    ask(ALL, ORCPT, ret="HDRS", envid="QQ+3D1")
    _, (mail, rcpt) = deliver(Script(extensions=DSN))
    assert mail.endswith(" RET=HDRS ENVID=QQ+3D1")
    assert rcpt == f"RCPT TO:<{SAM}> NOTIFY={ALL} ORCPT={ORCPT}"
    # The success is theirs to tell.
    assert told() == []


def test_the_address_written_to_goes_along() -> None:
    actions.create(TEAM, [SAM])
    ask("FAILURE")
    _, (_, rcpt) = deliver(Script(extensions=DSN))
    assert rcpt.endswith(" NOTIFY=FAILURE ORCPT=rfc822;team@lists.test")


def test_a_server_without_dsn_is_asked_nothing_and_success_told_here() -> None:
    actions.create(TEAM, [SAM])
    ask(ALL, ORCPT, ret="FULL", envid="QQ+3D1")
    messages, commands = deliver(Script(extensions=PLAIN))
    assert commands[1] == f"RCPT TO:<{SAM}>"
    assert "ENVID" not in commands[0]
    assert "RET" not in commands[0]
    assert told() == ["relayed"]
    report = read(messages[1].raw)
    assert (messages[1].sender, messages[1].recipients) == ("", (NICK,))
    assert report.message["Original-Envelope-Id"] == "QQ=1"
    assert report.recipient["Original-Recipient"] == "rfc822; Team+x@lists.test"
    assert report.recipient["Final-Recipient"] == "rfc822; team@lists.test"
    assert report.recipient["Status"] == "2.1.9"
    # RET is for failures alone (RFC 3461 4.3).
    assert report.kinds[2] == "text/rfc822-headers"
    assert SAM.encode() not in messages[1].raw
    sweep()
    assert told() == ["relayed"]


def test_without_a_wish_success_is_not_told() -> None:
    actions.create(TEAM, [SAM])
    ask("", ORCPT)
    messages, _ = deliver(Script(extensions=PLAIN))
    assert len(messages) == 1
    assert told() == []


def test_an_alias_of_several_is_expanded_and_success_told_once() -> None:
    actions.create(TEAM, [SAM, OLGA])
    ask("SUCCESS,FAILURE", ORCPT)
    _, commands = deliver(Script(extensions=DSN))
    assert told() == ["expanded"]
    asked = {c.partition(">")[2] for c in commands if SAM in c or OLGA in c}
    assert asked == {f" NOTIFY=FAILURE ORCPT={ORCPT}"}


def test_success_alone_leaves_nothing_to_ask_of_several() -> None:
    actions.create(TEAM, [SAM, OLGA])
    ask("SUCCESS")
    script = Script(extensions=DSN, rcpt={SAM: "550 5.1.1 no"})
    _, commands = deliver(script)
    assert f"RCPT TO:<{OLGA}> NOTIFY=NEVER ORCPT=rfc822;team@lists.test" in commands
    assert told() == ["expanded"]


@pytest.mark.parametrize(
    ("notify", "actions_told"),
    [
        ("", ["failed"]),
        ("FAILURE", ["failed"]),
        ("SUCCESS,FAILURE", ["failed"]),
        ("NEVER", []),
        ("SUCCESS", []),
        ("DELAY", []),
    ],
)
def test_a_failure_is_told_as_asked(notify: str, actions_told: list[str]) -> None:
    actions.create(TEAM, [SAM])
    ask(notify)
    deliver(Script(extensions=DSN, rcpt={SAM: "550 5.1.1 no such person"}))
    assert told() == actions_told
    Delivery.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    sweep()
    assert told() == actions_told


def test_the_whole_message_comes_back_on_request() -> None:
    actions.create(TEAM, [SAM])
    ask("FAILURE", ret="FULL")
    deliver(Script(extensions=DSN, rcpt={SAM: "550 5.1.1 no such person"}))
    [report] = Message.objects.filter(source=Message.Source.SITE)
    assert MAIL in bytes(report.raw)
    assert read(bytes(report.raw)).kinds[2] == "message/rfc822"


@pytest.mark.parametrize(
    ("field", "notify", "actions_told"),
    [
        (b"Auto-Submitted: auto-replied\r\n", "", []),
        (b"Auto-Submitted: auto-replied\r\n", "FAILURE", ["failed"]),
        (b"List-Id: <a.b.test>\r\n", "", []),
        (b"Precedence: bulk\r\n", "", []),
        (b"Content-Type: multipart/report\r\n", "", []),
    ],
)
def test_nobody_who_is_no_person_is_told_unasked(
    field: bytes, notify: str, actions_told: list[str]
) -> None:
    actions.create(TEAM, [SAM])
    ask(notify, raw=field + MAIL)
    deliver(Script(extensions=DSN, rcpt={SAM: "550 5.1.1 no such person"}))
    assert told() == actions_told
    said = Event.objects.filter(kind="returned").get().text
    assert ("is not told" in said) == (not actions_told)
    Delivery.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    sweep()
    assert told() == actions_told


def test_the_null_sender_hears_nothing_whatever_it_asks() -> None:
    actions.create(TEAM, [SAM, OLGA])
    ask(ALL, sender="")
    deliver(Script(extensions=PLAIN, rcpt={SAM: "550 5.1.1 no"}))
    assert told() == []


@pytest.mark.parametrize(
    ("notify", "hours", "actions_told"),
    [
        ("DELAY", 5, ["delayed"]),
        ("FAILURE,DELAY", 5, ["delayed"]),
        ("DELAY", 3, []),
        ("FAILURE", 5, []),
        ("", 5, []),
    ],
)
def test_a_delay_is_told_once_on_request(
    notify: str, hours: int, actions_told: list[str]
) -> None:
    actions.create(TEAM, [SAM])
    ask(notify)
    with Sink(Script(rcpt={SAM: "451 4.2.1 later"})) as sink, working(sink) as worker:
        run(worker)
    Outgoing.objects.update(created_at=timezone.now() - timedelta(hours=hours))
    sweep()
    sweep()
    assert told() == actions_told
    for report in reports():
        assert report.recipient["Status"] == "4.2.1"
        assert report.recipient["Will-Retry-Until"]


def test_an_alias_of_a_list_lets_the_list_tell() -> None:
    make_list("talk@lists.test", NICK)
    actions.create(TEAM, ["talk@lists.test"])
    ask("SUCCESS", ORCPT)
    [report] = reports()
    assert report.recipient["Action"] == "delivered"
    assert report.recipient["Final-Recipient"] == "rfc822; team@lists.test"
    assert report.recipient["Original-Recipient"] == "rfc822; Team+x@lists.test"


def test_an_alias_of_a_list_and_a_person_is_expanded() -> None:
    make_list("talk@lists.test", NICK)
    actions.create(TEAM, ["talk@lists.test", SAM])
    ask("SUCCESS")
    assert told() == ["expanded"]
    assert Outgoing.objects.get(forward_path=TEAM).notify == "NEVER"


def test_a_dead_worker_owes_the_report() -> None:
    """Result and debt are one transaction; who sends it does not matter."""
    actions.create(TEAM, [SAM])
    ask("SUCCESS")
    with Sink(Script(extensions=PLAIN)) as sink, working(sink) as worker:
        run(worker)
    assert Delivery.objects.get().state == "sent"
    assert told() == []
    assert Report.objects.owed().count() == 1
    sweep()
    sweep()
    assert told() == ["relayed"]
    assert not Report.objects.owed()


def test_a_message_tried_again_by_hand_is_not_reported_twice() -> None:
    actions.create(TEAM, [SAM])
    ask()
    script = Script(rcpt={SAM: ["550 5.1.1 no", "550 5.1.1 still no"]})
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        order(Order.RETRY, Delivery.objects.filter(address=SAM))
        run(worker)
    assert told() == ["failed"]


@pytest.mark.parametrize(
    ("notify", "protocol", "actions_told"),
    [
        ("", "ESMTP", []),
        ("NEVER", "ESMTP", []),
        ("FAILURE", "ESMTP", ["failed"]),
        # Each recipient has a reply of its own.
        ("FAILURE", "LMTP", []),
    ],
)
def test_one_refused_at_the_dot_is_told_on_request(
    notify: str, protocol: str, actions_told: list[str]
) -> None:
    make_list("talk@lists.test", posters="owners", others="refuse")
    actions.create(TEAM, [SAM])
    wishes = [Wish(notify), Wish(notify)]
    reply = send(TEAM, "talk@lists.test", wishes=wishes, protocol=protocol)
    assert reply.is_positive
    assert told() == actions_told
    for report in reports():
        assert report.recipient["Final-Recipient"] == "rfc822; talk@lists.test"
        assert report.recipient["Status"] == "5.7.1"


def test_workers_that_see_what_is_owed_at_once_tell_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actions.create(TEAM, [SAM])
    ask(ALL)
    with Sink(Script(extensions=PLAIN)) as sink, working(sink) as worker:
        run(worker)
    owed = debts.owed()
    assert len(owed) == 1
    all_have_seen_it = threading.Barrier(THREADS, timeout=10)
    settle_one = reporting._settle

    def meet(number: int, *, is_proven: bool) -> bool:
        all_have_seen_it.wait()
        return settle_one(number, is_proven=is_proven)

    monkeypatch.setattr(reporting, "_settle", meet)
    assert sum(at_once(lambda _: reporting.settle(owed))) == 1
    assert told() == ["relayed"]
