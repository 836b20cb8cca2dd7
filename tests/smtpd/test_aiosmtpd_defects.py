"""What breaks a stock aiosmtpd, tried on our listener: A1 to A16, by number.

aiosmtpd 1.4.6 gives us transport and TLS plumbing. Each of these was found in
it; the numbers are of the report that lists them.
"""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from smtpd.listener.content import Content
from smtpd.listener.limits import Limits
from smtpd.listener.plumbing import CHUNK
from smtpd.listener.policies import CatchAll
from smtpd.listener.requests import Client as SmtpClient
from smtpd.listener.requests import Transaction
from smtpd.models import Copy
from smtpd.paths import Path as MailPath
from smtpd.replies import Reply
from tests import certificates
from tests.smtpd.listening import Running, listening, until

pytestmark = pytest.mark.django_db(transaction=True)

ENVELOPE = b"EHLO c.test\r\nMAIL FROM:<sam@c.test>\r\n"


class Witness(CatchAll):
    """Remembers the paths it was asked about."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def decide(self, path: MailPath, client: SmtpClient) -> tuple[Reply, object]:
        self.paths.append(str(path))
        if path.local_part == "bug":
            raise RuntimeError("the password is swordfish")
        return super().decide(path, client)

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        self.is_asked.set()
        assert self.may_go_on.wait(20)
        return super().take(envelope, raw)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def running(tmp_path: Path, witness: Witness) -> Iterator[Running]:
    with listening(witness, tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "local_part",
    [
        b"=?utf-8?q?x=40evil.test=0D=0A?=",
        b"=?utf-8?q?x=00?=",
        b"=?utf-8?b?eEBldmlsLnRlc3Q=?=",
    ],
)
def test_a01_an_encoded_word_in_a_path_is_not_decoded(
    running: Running, witness: Witness, local_part: bytes
) -> None:
    path = local_part + b"@l.test"
    with running.connect() as client:
        client.reply()
        client.say(
            b"EHLO c\r\nMAIL FROM:<" + path + b">\r\nRCPT TO:<" + path + b">\r\n"
        )
        assert client.replies(3)[1:] == ["250 2.1.0", "250 2.1.5"]
        client.say(b"DATA\r\nhello\r\n.\r\n")
        assert client.replies(2)[1] == "250 2.0.0"
        # As a domain it is none.
        said = client.ask(b"MAIL FROM:<a@" + local_part + b">\r\n")
        assert said.startswith("501 5.1.7")
    assert witness.paths == [path.decode()]
    copy = Copy.objects.get()
    assert [copy.reverse_path, copy.forward_path] == [path.decode()] * 2


@pytest.mark.parametrize(
    "path",
    [
        *(
            b"<talk@l.test",
            b"<talk(comment)@l.test>",
            b"<talk @l.test>",
            b"talk@l.test",
        ),
        *(
            b"<u..v@l.test>",
            b"<.u@l.test>",
            b"<u.@l.test>",
            b"<@>",
            b"<",
            b">",
            b"<<>>",
        ),
        *(
            b'<"',
            b'<"@l.test>',
            b"<a@[>",
            b"<:>",
            b"<;>",
            b"<(>",
            b"<a@l.test><b@l.test>",
        ),
    ],
)
def test_a02_what_is_no_path_is_501_and_no_bug(
    running: Running, witness: Witness, path: bytes
) -> None:
    with running.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:" + path + b"\r\n" + ENVELOPE[13:])
        refused, taken = client.replies(3)[1:]
        assert refused in {"501 5.1.7", "501 5.5.4"}
        assert taken == "250 2.1.0"
        said = client.ask(b"RCPT TO:" + path + b"\r\n")
        assert said.startswith(("501 5.1.3", "501 5.5.4"))
        assert client.ask(b"RCPT TO:<a\rb@l.test>\r\n").startswith("500 5.5.2")
        assert client.ask(b"RCPT TO:<talk@l.test>\r\n").startswith("250 ")
    assert witness.paths == ["talk@l.test"]


def test_a03_the_null_path_is_nobody_and_no_recipient(running: Running) -> None:
    with running.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<a@l.test>\r\n")
        assert client.replies(4)[1:] == ["250 2.1.0", "501 5.1.3", "250 2.1.5"]
        client.say(b"DATA\r\nhello\r\n.\r\n")
        assert client.replies(2)[1] == "250 2.0.0"
    assert Copy.objects.get().reverse_path == ""


def test_a04_a_bug_of_ours_is_temporary_and_says_nothing(running: Running) -> None:
    with running.connect() as client:
        client.reply()
        client.say(ENVELOPE + b"RCPT TO:<bug@l.test>\r\n")
        client.replies(2)
        said = client.reply()
        assert said.startswith("451 4.3.0 ")
        assert "swordfish" not in said
        assert "RuntimeError" not in said
        assert client.ask(b"RCPT TO:<a@l.test>\r\n").startswith("250 ")


def test_a05_the_clock_starts_again_with_each_piece(tmp_path: Path) -> None:
    limits = Limits(command_seconds=0.5, chunk_seconds=0.5)
    with listening(CatchAll(), tmp_path, limits=limits) as running:
        with running.connect() as client:
            client.open()
            began = time.monotonic()
            while time.monotonic() - began < 1.2:
                client.say(b"steady\r\n")
                assert client.is_quiet(0.1)
            assert client.ask(b".\r\n").startswith("250 ")
        with running.connect() as idle:
            idle.reply()
            assert idle.reply().startswith("421 4.4.2")
            assert idle.reply() == ""


def test_a06_a_client_that_goes_cuts_no_store(
    running: Running, witness: Witness
) -> None:
    witness.may_go_on.clear()
    gone = running.connect()
    gone.open()
    gone.say(b"one\r\n.\r\n")
    assert witness.is_asked.wait(20)
    gone.reset()
    witness.may_go_on.set()
    until(lambda: running.connections == 0)
    with running.connect() as half:
        half.open()
        half.say(b"two\r\n.\r\n")
        half.half_close()
        assert half.reply().startswith("250 ")
        assert half.reply() == ""
    assert [bytes(copy.raw) for copy in Copy.objects.order_by("id")] == [
        b"one\r\n",
        b"two\r\n",
    ]


def test_a07_a_large_message_is_not_in_memory_while_it_comes(
    running: Running,
) -> None:
    line = b"x" * 998 + b"\r\n"
    piece = line * 1000
    with running.connect() as client:
        client.open()
        tracemalloc.start()
        try:
            for _ in range(20):
                client.say(piece)
            # Until nearly all of it is in its file.
            full = Limits().spool_total - 19_900_000
            until(lambda: running.listener.room.left <= full)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 3_000_000
        assert client.ask(b".\r\n").startswith("250 ")
    assert Copy.objects.get().size == 20_000_000


@pytest.mark.parametrize("length", [999, 1_001, 5_000, 65_536])
def test_a08_a_long_line_is_real_mail(running: Running, length: int) -> None:
    with running.connect() as client:
        client.open()
        assert client.ask(b"x" * length + b"\r\n.\r\n").startswith("250 ")
    assert bytes(Copy.objects.get().raw) == b"x" * length + b"\r\n"


@pytest.mark.parametrize("fault", [b"\n", b"\r", b"\0", b"\n.\n", b"\r.\r"])
def test_a09_only_cr_lf_ends_a_line(running: Running, fault: bytes) -> None:
    with running.connect() as client:
        client.reply()
        client.say(ENVELOPE + b"RCPT TO:<a@l.test>\nNOOP\r\nNOOP\r\n")
        assert client.replies(5)[2:] == ["500 5.5.2", "500 5.5.2", "250 2.0.0"]
        client.say(b"RCPT TO:<a@l.test>\r\nDATA\r\n")
        client.replies(2)
        said = client.ask(b"one" + fault + b"two\r\n.\r\n")
        assert said.startswith("550 5.6.0" if fault == b"\0" else "550 5.5.2")
        assert client.ask(b"NOOP\r\n").startswith("250 ")
    assert Copy.objects.count() == 0


def test_a10_the_limit_of_a_line_is_the_same_for_all(running: Running) -> None:
    longest = b"NOOP " + b"x" * 2041 + b"\r\n"
    with running.connect() as one:
        one.reply()
        for _ in range(50):
            one.ask(b"EHLO c.test\r\n")
        with running.connect() as two:
            two.reply()
            for client in (one, two, one):
                assert client.ask(longest).startswith("250 ")
                assert client.ask(b"x" + longest).startswith("500 5.5.2")


def test_a11_our_name_is_not_looked_up_for_each_client(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def getfqdn(name: str = "") -> str:
        asked.append(name)
        return "somebody.else"

    monkeypatch.setattr(socket, "getfqdn", getfqdn)
    with running.connect() as client:
        assert client.reply() == "220 mx.test ESMTP"
        assert client.ask(b"EHLO c\r\n").startswith("250-mx.test\n")
    assert asked == []


def test_a12_nobody_logs_in_where_nobody_can(tmp_path: Path) -> None:
    context = certificates.server_context(tmp_path / "mx.pem")
    with (
        listening(CatchAll(), tmp_path, tls_context=context) as running,
        running.connect() as client,
    ):
        client.reply()
        assert client.ask(b"STARTTLS\r\n").startswith("220 ")
        client.start_tls()
        assert "AUTH" not in client.ask(b"EHLO c\r\n")
        assert client.ask(b"AUTH PLAIN AGEAYg==\r\n").startswith("502 5.5.1")


def test_a13_there_is_a_cap_on_everything(tmp_path: Path) -> None:
    limits = Limits(connections=1, recipients=2, errors=3)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.reply()
        with running.connect() as other:
            assert other.reply().startswith("421 4.3.2")
            assert other.reply() == ""
        client.say(ENVELOPE + b"RCPT TO:<a@l.test>\r\nRCPT TO:<b@l.test>\r\n")
        client.say(b"RCPT TO:<c@l.test>\r\n")
        assert client.replies(5)[2:] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        client.say(b"WHAT\r\n" * 3)
        assert client.replies(4) == ["500 5.5.1"] * 3 + ["421 4.7.0"]
        assert client.reply() == ""


def test_a14_what_is_far_too_big_is_not_read_to_its_end(tmp_path: Path) -> None:
    limits = Limits(message_size=100_000)
    with (
        listening(CatchAll(), tmp_path, limits=limits) as running,
        running.connect() as client,
    ):
        client.open()
        client.say(b"0123\r\n" * 34_000)
        assert client.reply().startswith("421 4.7.0")
        assert client.reply() == ""


def test_a15_the_end_of_the_process_cuts_no_message(running: Running) -> None:
    with running.connect() as idle, running.connect() as busy:
        idle.reply()
        busy.open()
        until(lambda: running.connections == 2)
        running.begin_stop()
        assert idle.reply().startswith("421 4.3.2")
        assert busy.ask(b"hello\r\n.\r\n").startswith("250 ")
        assert busy.reply().startswith("421 4.3.2")
    assert Copy.objects.count() == 1


def test_a16_no_step_looks_at_more_than_a_chunk(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two steps the others have their turn."""
    seen: list[int] = []
    feed = Content.feed

    def noted(self: Content, data: bytes) -> tuple[bytes, bytes]:
        seen.append(len(data))
        return feed(self, data)

    monkeypatch.setattr(Content, "feed", noted)
    with running.connect() as client:
        client.open()
        client.say(b"..\r\n" * 500_000 + b".\r\n")
        assert client.reply().startswith("250 ")
    assert sum(seen) == 2_000_003
    assert max(seen) <= CHUNK
    assert bytes(Copy.objects.get().raw) == b".\r\n" * 500_000
