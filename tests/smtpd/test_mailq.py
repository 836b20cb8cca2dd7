"""The queue from the shell."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from smtpd.models import Delivery, Destination, Event
from tests.smtpd.sending import make_verp, people, states

pytestmark = pytest.mark.django_db(transaction=True)
Capture = pytest.CaptureFixture[str]


def mailq(capsys: Capture, *words: str) -> str:
    capsys.readouterr()
    call_command("mailq", *words)
    return capsys.readouterr().out


def test_copies_of_a_destination_a_message_and_a_recipient(capsys: Capture) -> None:
    outgoing = make_verp(people(2))
    Delivery.objects.update(code=451, enhanced="4.7.1", text="later", failure="rate")
    for what in ("relay", outgoing.message.key, "sam0@home.test"):
        assert "sam0@home.test" in mailq(capsys, what)
    assert "451 4.7.1 later" in mailq(capsys, "relay")
    [row] = json.loads(mailq(capsys, "sam0@home.test", "--json"))
    assert (row["key"], row["code"]) == (outgoing.message.key, 451)
    assert "nothing of relay waits" in mailq(capsys, "relay", "--state", "sent")
    with pytest.raises(CommandError, match="no destination and no message"):
        call_command("mailq", "nowhere.test")


def test_an_order_needs_yes(capsys: Capture) -> None:
    make_verp(people(3))
    out = mailq(capsys, "relay", "--fail")
    assert "This fails 3 copies for the relay and tells their senders." in out
    assert states() == {"queued": 3}
    assert "3 copies failed" in mailq(capsys, "relay", "--fail", "--yes")
    assert "Nothing was changed" in mailq(capsys, "relay", "--fail", "--yes")
    assert states() == {"failed": 3}
    [event] = Event.objects.filter(kind="order")
    assert "at the terminal gave 3 copies up" in event.text


def test_an_order_is_about_something(capsys: Capture) -> None:
    with pytest.raises(CommandError, match="--drop what"):
        call_command("mailq", "--drop", "--yes")


def test_a_whole_destination_is_held_and_released(capsys: Capture) -> None:
    make_verp(people(1))
    assert "1 copy waits there now" in mailq(capsys, "relay", "--hold")
    assert not Destination.objects.exclude(held_at=None).exists()
    assert "The relay is on hold" in mailq(capsys, "relay", "--hold", "--yes")
    assert states() == {"queued": 1}
    assert "on hold by" in mailq(capsys)
    assert "The relay is released" in mailq(capsys, "relay", "--release", "--yes")
    assert not Destination.objects.exclude(held_at=None).exists()


def test_a_rest_of_the_destination_is_when_they_are_tried(capsys: Capture) -> None:
    make_verp(people(1))
    until = timezone.now() + timedelta(hours=3, seconds=30)
    Destination.objects.create(name="relay", failures=1, backoff_until=until)
    assert "(0 tried, next in 3\xa0hours)" in mailq(capsys, "relay")
    at = f"{timezone.localtime(until):%Y-%m-%d %H:%M:%S}"
    out = mailq(capsys)
    assert f"resting until {at}" in out
    assert f"next attempt {at}" in out
    mailq(capsys, "relay", "--hold", "--yes")
    assert "(0 tried, its server is on hold)" in mailq(capsys, "relay")
    assert "next attempt" not in mailq(capsys)
