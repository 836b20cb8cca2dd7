"""The listener on real sockets: whole messages or none, whatever a client does."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll
from smtpd.listener.requests import Client as SmtpClient
from smtpd.listener.requests import Transaction
from smtpd.models import Copy
from smtpd.paths import Path as MailPath
from smtpd.replies import Reply
from tests import certificates
from tests.smtpd.listening import Client, Running, listening, until

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = (
    b"From: Sam <sam@c.test>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n"
)


class Held(CatchAll):
    """Keeps the listener waiting at the end of DATA until the test says so."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        self.is_asked.set()
        assert self.may_go_on.wait(20)
        return super().take(envelope, raw)


class Broken(CatchAll):
    """A bug of ours."""

    def decide(self, path: MailPath, client: SmtpClient) -> tuple[Reply, object]:
        if path.local_part == "bug":
            raise RuntimeError("the password is swordfish")
        return super().decide(path, client)

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        raise RuntimeError("the password is swordfish")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with listening(CatchAll(), tmp_path) as running:
        yield running


def test_a_message_is_kept_for_each_recipient(running: Running) -> None:
    with running.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<sam@c.test>\r\nRCPT TO:<a@l.test>\r\n")
        client.say(b"RCPT TO:<b@l.test>\r\nDATA\r\n" + TEXT + b".\r\nQUIT\r\n")
        assert client.replies(7)[4:] == ["354 End", "250 2.0.0", "221 2.0.0"]
        assert client.reply() == ""
    assert list(
        Copy.objects.order_by("id").values_list("forward_path", "subject", "author")
    ) == [
        ("a@l.test", "grüße", "sam@c.test"),
        ("b@l.test", "grüße", "sam@c.test"),
    ]
    assert bytes(Copy.objects.all()[0].raw) == TEXT


def test_a_large_message_arrives_byte_for_byte(running: Running) -> None:
    lines = [
        b"." * (n % 5) + b"x" * (n % 991) + bytes([128 + n % 128]) for n in range(7000)
    ]
    content = b"\r\n".join(lines) + b"\r\n"
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    assert len(content) > 3_000_000
    with running.connect() as client:
        client.open()
        assert client.ask(stuffed + b".\r\n").startswith("250 2.0.0")
    assert bytes(Copy.objects.get().raw) == content


def test_a_long_line_is_taken(running: Running) -> None:
    with running.connect() as client:
        client.open()
        assert client.ask(b"x" * 65_536 + b"\r\n.\r\n").startswith("250 ")
        client.say(b"MAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\nDATA\r\n")
        assert client.replies(3)[2].startswith("354")
        assert client.ask(b"x" * 65_537 + b"\r\n.\r\n").startswith("550 5.6.0")
    assert Copy.objects.count() == 1


def test_half_a_close_behind_the_dot_still_gets_its_reply(running: Running) -> None:
    with running.connect() as client:
        client.open()
        client.say(TEXT + b".\r\n")
        client.half_close()
        assert client.reply().startswith("250 2.0.0")
        assert client.reply() == ""
    assert Copy.objects.count() == 1


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\r\n."])
def test_a_client_that_leaves_before_the_dot_leaves_nothing(
    running: Running, ending: bytes
) -> None:
    with running.connect() as client:
        client.open()
        client.say(b"x" * 300_000 + ending)
        client.half_close()
        assert client.reply() == ""
    until(lambda: running.connections == 0)
    assert Copy.objects.count() == 0


def test_a_client_that_vanishes_does_not_cut_a_store(tmp_path: Path) -> None:
    policy = Held()
    with listening(policy, tmp_path) as running:
        client = running.connect()
        client.open()
        client.say(TEXT + b".\r\n")
        assert policy.is_asked.wait(20)
        client.reset()
        policy.may_go_on.set()
        until(lambda: running.connections == 0)
    assert bytes(Copy.objects.get().raw) == TEXT


def test_a_bug_of_ours_is_451_with_an_id_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(Broken(), tmp_path) as running, running.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bug@l.test>\r\n")
        client.replies(2)
        reply = client.reply()
        assert reply.startswith("451 4.3.0 ")
        assert "swordfish" not in reply
        name = reply.rpartition("id ")[2].rstrip(")")
        assert f"id={name}" in caplog.text
        client.say(b"RCPT TO:<a@l.test>\r\nDATA\r\na\r\n.\r\nNOOP\r\n")
        assert client.replies(4) == ["250 2.1.5", "354 End", "451 4.3.0", "250 2.0.0"]


def test_content_that_cannot_be_spooled_is_451(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    limits = Limits(spool_memory=1000, free_space=0)
    with (
        listening(CatchAll(), folder, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        folder.rmdir()
        reply = client.ask(b"x\r\n" * 1000 + b".\r\n")
        assert reply.startswith("451 4.3.0 ")
        assert client.ask(b"MAIL FROM:<>\r\n").startswith("452 4.3.1")
    assert Copy.objects.count() == 0


def test_a_disk_without_room_takes_no_mail(tmp_path: Path) -> None:
    limits = Limits(free_space=1 << 60)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\n")
        assert client.replies(2)[1] == "452 4.3.1"


def test_a_message_too_big_is_552_and_the_session_goes_on(tmp_path: Path) -> None:
    limits = Limits(message_size=100_000)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        assert client.ask(b"0123\r\n" * 20_000 + b".\r\n").startswith("552 5.3.4")
        assert client.ask(b"MAIL FROM:<> SIZE=100001\r\n").startswith("552 5.3.4")
        assert client.ask(b"MAIL FROM:<> SIZE=5\r\n").startswith("250 2.1.0")
        client.say(b"RCPT TO:<a@l.test>\r\nDATA\r\n")
        client.replies(2)
        assert client.ask(b"0123\r\n" * 10_000 + b".\r\n").startswith("250 2.0.0")
    assert Copy.objects.get().size == 60_000


# --- the end of the process ---------------------------------------------------


def test_shutdown_says_421_to_idle_clients_and_lets_a_message_finish(
    tmp_path: Path,
) -> None:
    with (
        listening(CatchAll(), tmp_path) as running,
        running.connect() as idle,
        running.connect() as busy,
    ):
        idle.reply()
        busy.open()
        busy.say(b"half of ")
        until(lambda: running.connections == 2)
        running.begin_stop()
        assert idle.reply().startswith("421 4.3.2")
        assert idle.reply() == ""
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        busy.say(b"it\r\n.\r\n")
        assert busy.reply().startswith("250 2.0.0")
        assert busy.reply().startswith("421 4.3.2")
        assert busy.reply() == ""
    running.wait()
    assert bytes(Copy.objects.get().raw) == b"half of it\r\n"


def test_shutdown_cuts_a_message_that_does_not_come_to_an_end(tmp_path: Path) -> None:
    limits = Limits(grace_seconds=0.3)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        client.say(b"half of ")
        running.begin_stop()
        assert client.reply().startswith("421 4.3.2")
    running.wait()
    assert Copy.objects.count() == 0


def test_shutdown_waits_for_a_commit_that_has_begun(tmp_path: Path) -> None:
    policy = Held()
    with listening(policy, tmp_path) as running, running.connect() as client:
        client.open()
        client.say(TEXT + b".\r\n")
        assert policy.is_asked.wait(20)
        running.begin_stop()
        assert client.is_quiet(0.1)
        policy.may_go_on.set()
        assert client.reply().startswith("250 2.0.0")
    assert Copy.objects.count() == 1


# --- TLS --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return certificates.server_context(tmp_path_factory.mktemp("tls") / "mx.pem")


def test_starttls_encrypts_and_drops_what_was_injected_before(
    tmp_path: Path, tls_context: ssl.SSLContext
) -> None:
    with (
        listening(CatchAll(), tmp_path, tls_context=tls_context) as running,
        running.connect() as client,
    ):
        client.reply()
        assert "STARTTLS" in client.ask(b"EHLO c\r\n")
        client.say(b"STARTTLS\r\nRSET\r\nMAIL FROM:<evil@x.test>\r\n")
        assert client.reply().startswith("220 ")
        client.start_tls()
        assert client.ask(b"RCPT TO:<a@l.test>\r\n").startswith("503 5.5.1")
        assert client.ask(b"MAIL FROM:<>\r\n").startswith("503 5.5.1")
        client.say(b"EHLO c\r\nMAIL FROM:<sam@c.test>\r\nRCPT TO:<a@l.test>\r\n")
        assert "STARTTLS" not in client.reply()
        client.say(b"DATA\r\n" + TEXT + b".\r\nQUIT\r\n")
        assert client.replies(5)[3:] == ["250 2.0.0", "221 2.0.0"]
        assert client.reply() == ""
    assert Copy.objects.get().reverse_path == "sam@c.test"


def test_a_handshake_that_fails_ends_that_session_only(
    tmp_path: Path, tls_context: ssl.SSLContext
) -> None:
    with listening(CatchAll(), tmp_path, tls_context=tls_context) as running:
        client = running.connect()
        client.reply()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.replies(2)
        client.say(b"this is no handshake\r\n" * 10)
        until(lambda: running.connections == 0)
        client.sock.close()
        with running.connect() as other:
            assert other.reply().startswith("220 ")


def test_a_client_that_vanishes_under_tls_leaves_nothing(
    tmp_path: Path, tls_context: ssl.SSLContext
) -> None:
    with listening(CatchAll(), tmp_path, tls_context=tls_context) as running:
        client: Client = running.connect()
        client.reply()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.replies(2)
        client.start_tls()
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\nDATA\r\nhalf")
        client.replies(4)
        client.reset()
        until(lambda: running.connections == 0)
    assert Copy.objects.count() == 0
