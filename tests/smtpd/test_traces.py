from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from aliases import actions as aliases
from smtpd import traces
from smtpd.backlog import read_backlog
from smtpd.models import Delivery, Destination, Message
from tests.aliases.makers import NICK, OLGA, SAM, make_domain, make_list, send

pytestmark = pytest.mark.django_db
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _mail() -> None:
    make_domain()
    aliases.create("team@lists.test", [SAM, OLGA])
    assert send("team@lists.test").is_positive
    Delivery.objects.filter(address=SAM).update(
        state="sent", code=250, enhanced="2.0.0", text="OK", host="mx.people.test"
    )


def test_a_message_is_found_by_key_and_message_id() -> None:
    message = Message.objects.get()
    for name in (message.key, message.key.upper(), message.msg_id, "1@elsewhere.test"):
        assert traces.find(name) == [message]
    assert traces.find("2@elsewhere.test") == []
    assert traces.find("") == []


def test_one_message_id_twice_is_two_messages() -> None:
    send("team@lists.test")
    assert len(traces.find("<1@elsewhere.test>")) == 2


def test_a_trace_has_every_step_and_recipient() -> None:
    trace = traces.read_trace(Message.objects.get())
    assert [event.kind for event in trace.timeline] == ["received", "expanded"]
    assert trace.states == {"queued": 1, "sent": 1}
    assert not trace.is_finished
    assert [row.address for row in trace.page()] == [SAM, OLGA]
    assert [row.address for row in trace.page(99, state="sent")] == [SAM]
    Delivery.objects.update(state="failed")
    assert traces.read_trace(trace.message).is_finished


def test_trace_from_the_shell(capsys: Capture) -> None:
    call_command("trace", "<1@elsewhere.test>")
    out = capsys.readouterr().out
    assert "expanded to 2 targets" in out
    assert f"{SAM} 250 2.0.0 OK" in out
    call_command("trace", Message.objects.get().key, "--json")
    [story] = json.loads(capsys.readouterr().out)
    assert story["message_id"] == "<1@elsewhere.test>"
    assert story["forward_paths"] == ["team@lists.test"]
    assert [event["kind"] for event in story["events"]] == ["received", "expanded"]
    assert {row["address"]: row["code"] for row in story["deliveries"]} == {
        SAM: 250,
        OLGA: None,
    }
    with pytest.raises(CommandError, match="no message"):
        call_command("trace", "<2@elsewhere.test>")


def test_the_backlog_has_what_is_not_at_an_end() -> None:
    Delivery.objects.filter(address=OLGA).update(
        code=451, enhanced="4.7.1", text="later"
    )
    [backlog] = read_backlog()
    row = Delivery.objects.get(address=OLGA)
    assert backlog.destination == row.destination
    assert backlog.states == {"queued": 1}
    assert backlog.oldest_at == row.outgoing.created_at
    assert backlog.next_attempt_at == row.due_at
    assert [(r.reply, r.count) for r in backlog.reasons] == [("451 4.7.1 later", 1)]


def test_mailq_from_the_shell(capsys: Capture) -> None:
    until = timezone.now() + timedelta(hours=1)
    name = Delivery.objects.all()[0].destination
    Destination.objects.update_or_create(
        name=name, defaults={"backoff_until": until, "last_failure": "no route"}
    )
    call_command("mailq")
    out = capsys.readouterr().out
    assert "1 queued" in out
    assert "no route" in out
    assert out.endswith("1 waiting\n")
    call_command("mailq", "--json")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["destination"], row["count"]) == (name, 1)
    Delivery.objects.update(state="cancelled")
    call_command("mailq")
    assert capsys.readouterr().out == "0 waiting\n"


def test_explain_from_the_shell(capsys: Capture) -> None:
    make_list("talk@lists.test")
    aliases.create("all@lists.test", ["talk@lists.test", NICK])
    call_command("explain", "all+x@lists.test")
    out = capsys.readouterr().out
    assert "There is no address all+x@lists.test." in out
    assert f"-> {NICK}" in out
    assert "talk@lists.test: post (lists)" in out
    assert "250 2.1.5" in out
    call_command("explain", "nobody@lists.test")
    assert "550 5.1.1" in capsys.readouterr().out
    with pytest.raises(CommandError, match="501"):
        call_command("explain", "no address")
