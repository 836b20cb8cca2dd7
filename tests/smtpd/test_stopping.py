"""Wherever a client is when the listener is told to stop, the end comes soon.

RFC 5321 3.8: a client that is let go hears 421 where there are words for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from smtpd.listener.arrival import networks
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll
from smtpd.listener.requests import Client as SmtpClient
from smtpd.listener.requests import Kind
from smtpd.listener.service import Service
from smtpd.models import Copy
from smtpd.paths import Path as MailPath
from smtpd.replies import Reply
from tests import certificates
from tests.smtpd.listening import Client, Running, listening, until

pytestmark = pytest.mark.django_db(transaction=True)

# None of these may be what the end waits for.
LONG = Limits(
    command_seconds=1000,
    handshake_seconds=1000,
    chunk_seconds=1000,
    proxy_seconds=1000,
    grace_seconds=1000,
)


def connected(running: Running) -> Client:
    client = running.connect()
    until(lambda: running.connections == 1)
    return client


def greeted(running: Running) -> Client:
    client = running.connect()
    client.reply()
    return client


def half_a_command(running: Running) -> Client:
    client = greeted(running)
    client.say(b"EHLO c\r\nMAIL FR")
    client.reply()
    return client


def an_envelope(running: Running) -> Client:
    client = greeted(running)
    client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\n")
    client.replies(3)
    return client


def between_chunks(running: Running) -> Client:
    client = an_envelope(running)
    assert client.ask(b"BDAT 3\r\na\r\n").startswith("250 ")
    return client


@pytest.mark.parametrize(
    "come", [connected, greeted, half_a_command, an_envelope, between_chunks]
)
def test_whoever_is_idle_hears_421(
    tmp_path: Path, come: Callable[[Running], Client]
) -> None:
    with (
        listening(CatchAll(), tmp_path, limits=LONG) as running,
        come(running) as client,
    ):
        running.begin_stop()
        while (said := client.reply()).startswith("220 "):
            pass
        assert said.startswith("421 4.3.2")
        assert client.reply() == ""
    assert Copy.objects.count() == 0


@pytest.mark.parametrize("verb", [b"AUTH LOGIN\r\n", b"AUTH PLAIN\r\n"])
def test_half_a_login_is_let_go(tmp_path: Path, verb: bytes) -> None:
    context = certificates.server_context(tmp_path / "mx.pem")
    service = Service(CatchAll(), Kind.SUBMISSION, is_tls=True)
    with (
        listening(service, tmp_path, limits=LONG, tls_context=context) as running,
        running.connect() as client,
    ):
        client.start_tls()
        client.reply()
        client.ask(b"EHLO c\r\n")
        assert client.ask(verb).startswith("334 ")
        running.begin_stop()
        assert client.reply().startswith("421 4.3.2")


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_handshake_that_does_not_come_is_not_waited_for(
    tmp_path: Path, is_tls: bool
) -> None:
    context = certificates.server_context(tmp_path / "mx.pem")
    service = Service(CatchAll(), Kind.SUBMISSION, is_tls=is_tls)
    with (
        listening(service, tmp_path, limits=LONG, tls_context=context) as running,
        running.connect() as client,
    ):
        if not is_tls:
            client.reply()
            client.say(b"EHLO c\r\nSTARTTLS\r\n")
            client.replies(2)
        until(lambda: running.connections == 1)
        running.begin_stop()
        assert client.is_hung_up()


def test_a_proxy_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    service = Service(CatchAll(), trusts=networks("127.0.0.0/8"))
    with (
        listening(service, tmp_path, limits=LONG) as running,
        running.connect() as silent,
        running.connect() as busy,
    ):
        assert busy.ask(b"PROXY UNKNOWN\r\n").startswith("220 ")
        running.begin_stop()
        assert busy.reply().startswith("421 4.3.2")
        busy.sock.close()
        assert silent.is_hung_up()


@pytest.mark.parametrize("ending", ["dot", "last chunk"])
def test_a_message_on_its_way_is_finished(tmp_path: Path, ending: str) -> None:
    with (
        listening(CatchAll(), tmp_path, limits=LONG) as running,
        an_envelope(running) as client,
    ):
        if ending == "dot":
            client.say(b"DATA\r\nhel")
            client.reply()
            rest = b"lo\r\n.\r\n"
        else:
            # Replies leave before the next read: the chunk has begun then.
            client.say(b"NOOP\r\nBDAT 7 LAST\r\nhel")
            client.reply()
            rest = b"lo\r\n"
        running.begin_stop()
        until(lambda: is_refused(running))
        client.say(rest)
        assert client.reply().startswith("250 ")
        assert client.reply().startswith("421 4.3.2")
    assert bytes(Copy.objects.get().raw) == b"hello\r\n"


def is_refused(running: Running) -> bool:
    try:
        running.connect().sock.close()
    except ConnectionRefusedError:
        return True
    return False


class Slow(CatchAll):
    """Answers RCPT when the test says so."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()

    def decide(self, path: MailPath, client: SmtpClient) -> tuple[Reply, object]:
        self.is_asked.set()
        assert self.may_answer.wait(20)
        return super().decide(path, client)


def test_a_question_under_way_is_answered_first(tmp_path: Path) -> None:
    policy = Slow()
    with (
        listening(policy, tmp_path, limits=LONG) as running,
        greeted(running) as client,
    ):
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\n")
        assert policy.is_asked.wait(20)
        running.begin_stop()
        policy.may_answer.set()
        said = client.replies(4)
        assert said[2:] == ["250 2.1.5", "421 4.3.2"]


def test_someone_who_waits_for_their_mistakes_is_let_go(tmp_path: Path) -> None:
    """What is braked now is not braked any longer than the pause under way."""
    limits = Limits(free_errors=0, error_pause=0.5, errors=1000)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        greeted(running) as client,
    ):
        client.say(b"WHAT\r\n" * 1000)
        (connection,) = running.listener._connections
        until(lambda: connection.machine._errors >= 2)
        running.begin_stop()
        assert set(client.replies(1000)) == {"500 5.5.1"}
        assert client.reply().startswith("421 ")


def test_fifty_times_under_load_nothing_is_lost(tmp_path: Path) -> None:
    """F37: what was answered 250 is stored, once; the rest is not."""
    for number in range(50):
        told = 0
        with listening(CatchAll(), tmp_path) as running:
            clients = [greeted(running) for _ in range(3)]
            for client in clients:
                message = b"%d\r\n.\r\n" % number
                client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\nDATA\r\n")
                client.say(message[: number % len(message)])
            running.begin_stop()
            for client in clients:
                with client:
                    told += ends_with_its_message(client, message, number)
        assert Copy.objects.count() == told
        Copy.objects.all().delete()


def ends_with_its_message(client: Client, message: bytes, number: int) -> bool:
    """Go on as far as we are let; whether the message was taken."""
    said = []
    try:
        while reply := client.reply():
            said.append(reply)
            if reply.startswith("354 "):
                client.say(message[number % len(message) :])
    except ConnectionError:
        return any("kept" in reply for reply in said)
    assert said[-1].startswith("421 4.3.2")
    return any("kept" in reply for reply in said)
