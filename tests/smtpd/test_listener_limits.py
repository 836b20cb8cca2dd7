"""What a slow, greedy or numerous client gets, and what an honest one does."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

import pytest

from smtpd.listener.gate import Gate
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll
from smtpd.listener.requests import Kind
from smtpd.listener.service import Service
from smtpd.models import Copy
from tests import certificates
from tests.smtpd.listening import listening, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_slow_sender_is_served_while_it_is_steady(tmp_path: Path) -> None:
    limits = Limits(command_seconds=0.8, chunk_seconds=0.8)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        began = time.monotonic()
        while time.monotonic() - began < 2.4:
            client.say(b"slow but steady\r\n")
            assert client.is_quiet(0.2)
        assert client.ask(b".\r\n").startswith("250 2.0.0")
    assert Copy.objects.count() == 1


def test_an_idle_client_hears_421(tmp_path: Path) -> None:
    limits = Limits(command_seconds=0.3)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.reply()
        assert client.reply().startswith("421 4.4.2")
        assert client.reply() == ""


def test_a_command_letter_by_letter_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(command_seconds=0.8)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.reply()
        began = time.monotonic()
        while client.is_quiet(0.1):
            client.say(b"N")
            assert time.monotonic() - began < 10
        assert client.reply().startswith("421 4.4.2")


def test_a_pause_in_a_message_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(chunk_seconds=0.3)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        client.say(b"half")
        assert client.reply().startswith("421 4.4.2")
    assert Copy.objects.count() == 0


@pytest.mark.parametrize(
    "limits",
    [Limits(rate_grace_seconds=0.5, rate=10_000), Limits(content_seconds=0.5)],
    ids=["below the rate", "over the time"],
)
def test_a_message_octet_by_octet_is_cut_off(tmp_path: Path, limits: Limits) -> None:
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        began = time.monotonic()
        while client.is_quiet(0.05):
            client.say(b"x")
            assert time.monotonic() - began < 10
        assert client.reply().startswith("421 4.4.2")


def test_large_messages_share_a_room_and_small_ones_need_none(tmp_path: Path) -> None:
    limits = Limits(spool_memory=1000, spool_total=50_000)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as large,
        running.connect() as other,
        running.connect() as small,
    ):
        large.open()
        large.say(b"0123\r\n" * 6_000)
        until(lambda: running.listener.room.left < 20_000)
        other.open()
        assert other.ask(b"0123\r\n" * 6_000 + b".\r\n").startswith("452 4.3.1")
        assert other.ask(b"MAIL FROM:<> SIZE=40000\r\n").startswith("452 4.3.1")
        small.open()
        assert small.ask(b"0123\r\n" * 100 + b".\r\n").startswith("250 ")
        assert large.ask(b".\r\n").startswith("250 ")
        # What was stored or refused has left it.
        assert running.listener.room.left == 50_000
        assert other.ask(b"MAIL FROM:<> SIZE=40000\r\n").startswith("250 ")
        other.say(b"RCPT TO:<a@l.test>\r\nDATA\r\n")
        other.replies(2)
        assert other.ask(b"0123\r\n" * 6_000 + b".\r\n").startswith("250 ")
    assert Copy.objects.count() == 3


def test_who_leaves_in_the_middle_leaves_the_room(tmp_path: Path) -> None:
    limits = Limits(spool_memory=1000, spool_total=50_000)
    with listening(CatchAll(), tmp_path, limits=limits) as running:
        client = running.connect()
        client.open()
        client.say(b"0123\r\n" * 6_000)
        until(lambda: running.listener.room.left < 20_000)
        client.reset()
        until(lambda: running.listener.room.left == 50_000)


def test_slow_clients_do_not_delay_an_honest_one(tmp_path: Path) -> None:
    with listening(CatchAll(), tmp_path) as running, ExitStack() as stack:
        for number in range(300):
            loris = stack.enter_context(running.connect())
            loris.say(b"E" * (number % 3))
        until(lambda: running.connections == 300)
        began = time.monotonic()
        with running.connect() as client:
            client.open()
            assert client.ask(b"hello\r\n.\r\n").startswith("250 ")
        assert time.monotonic() - began < 2


def test_connections_over_the_cap_hear_421_until_one_leaves(tmp_path: Path) -> None:
    limits = Limits(connections=2)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as one,
        running.connect() as two,
    ):
        assert one.reply().startswith("220 ")
        assert two.reply().startswith("220 ")
        with running.connect() as three:
            assert three.reply().startswith("421 4.3.2")
            assert three.reply() == ""
        assert one.ask(b"QUIT\r\n").startswith("221 ")
        one.sock.close()
        until(lambda: running.connections == 1)
        with running.connect() as four:
            assert four.reply().startswith("220 ")


def test_nothing_is_said_in_the_clear_where_tls_comes_first(tmp_path: Path) -> None:
    context = certificates.server_context(tmp_path / "mx.pem")
    service = Service(CatchAll(), Kind.SUBMISSION, is_tls=True)
    limits = Limits(connections=1)
    with (
        listening(service, tmp_path, limits=limits, tls_context=context) as running,
        running.connect() as one,
    ):
        # It has its place before the handshake.
        until(lambda: running.connections == 1)
        with running.connect() as two:
            assert two.is_hung_up()
        one.start_tls()
        assert one.reply().startswith("220 ")


def test_a_handshake_has_its_time(tmp_path: Path) -> None:
    context = certificates.server_context(tmp_path / "mx.pem")
    service = Service(CatchAll(), Kind.SUBMISSION, is_tls=True)
    limits = Limits(handshake_seconds=0.2)
    with (
        listening(service, tmp_path, limits=limits, tls_context=context) as running,
        running.connect() as client,
    ):
        assert client.is_hung_up()


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(write_seconds=0.2, idle_commands=1_000_000_000)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.reply()
        # More answers than all the buffers on the way take.
        questions = repeat(b"HELP\r\n" * 10_000)
        with pytest.raises(ConnectionError):
            any(map(client.say, questions))
        until(lambda: running.connections == 0)


def test_one_place_does_not_take_all_connections() -> None:
    gate = Gate(total=10, of_peer=2)
    assert gate.enter("192.0.2.1") is None
    assert gate.enter("192.0.2.1") is None
    refusal = gate.enter("192.0.2.1")
    assert refusal is not None
    assert str(refusal).startswith("421 4.7.0")
    assert gate.enter("192.0.2.2") is None
    gate.leave("192.0.2.1")
    assert gate.enter("192.0.2.1") is None


def test_an_ipv6_customer_is_one_place_and_this_machine_none() -> None:
    gate = Gate(total=10, of_peer=1)
    assert gate.enter("2001:db8::1") is None
    assert gate.enter("2001:db8::2") is not None
    assert gate.enter("2001:db8:0:1::1") is None
    for peer in ("127.0.0.1", "127.0.0.1", "::1", "::1", "", ""):
        assert gate.enter(peer) is None
