"""The oracle on real sockets: the decision of RCPT, told to a server in front."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from aliases.actions import create, disable
from aliases.moving.actions import create_moved
from smtpd import replies
from smtpd.domains.actions import add_domain
from smtpd.listener import sockets
from smtpd.listener.threads import Threads
from smtpd.oracle.server import Oracle, Patience

pytestmark = pytest.mark.django_db(transaction=True)

LMTP = "lmtp:inet:127.0.0.1:24"


class Running:
    """An oracle with its event loop in a thread of its own."""

    def __init__(self, patience: Patience, path: Path | None = None) -> None:
        self.patience = patience
        self.path = path
        self.address: str | tuple[str, int] = ""
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        threads = Threads(2)
        oracle = Oracle(threads, transport=LMTP, patience=self.patience)
        if self.path:
            sock = sockets.OwnedSocket(self.path).bind()
            assert sock is not None
            self.address = str(self.path)
        else:
            (sock,) = sockets.tcp("127.0.0.1:0")
            self.address = sock.getsockname()
        await oracle.listen(sock)
        self._is_up.set()
        await self._stop.wait()
        await oracle.stop()
        await asyncio.to_thread(threads.close)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)
        assert not self._thread.is_alive()

    @contextlib.contextmanager
    def connect(self) -> Iterator[socket.socket]:
        family = socket.AF_UNIX if self.path else socket.AF_INET
        with socket.socket(family) as sock:
            sock.settimeout(20)
            sock.connect(self.address)
            yield sock


@contextlib.contextmanager
def answering(
    patience: Patience | None = None, path: Path | None = None
) -> Iterator[Running]:
    running = Running(patience or Patience(), path)
    running._thread.start()
    assert running._is_up.wait(20)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def _site() -> None:
    add_domain("l.test", dkim="")
    add_domain("xn--grn-ioa.test", dkim="")
    create("team@l.test", ["sam@people.test"])
    disable(create("closed@l.test", ["sam@people.test"]))


def lookup(table: str, key: str) -> bytes:
    text = f"{table} {key}".encode()
    return b"%d:%b," % (len(text), text)


def access(recipient: str) -> bytes:
    return (
        "request=smtpd_access_policy\nprotocol_state=RCPT\n"
        f"recipient={recipient}\n\n".encode()
    )


def ask(sock: socket.socket, question: bytes) -> str:
    """One answer without its frame."""
    sock.sendall(question)
    with sock.makefile("rb") as file:
        if question.startswith(b"request"):
            action = file.readline() + file.readline()
            assert action.startswith(b"action=")
            assert action.endswith(b"\n\n")
            return action[7:-2].decode()
        size = b""
        while (octet := file.read(1)) != b":":
            assert octet.isdigit()
            size += octet
        text = file.read(int(size) + 1)
        assert text.endswith(b",")
        return text[:-1].decode()


ANSWERS = (
    (lookup("domain", "l.test"), "OK l.test"),
    (lookup("domain", "L.Test"), "OK L.Test"),
    (lookup("domain", "grün.test"), "OK grün.test"),
    (lookup("domain", "elsewhere.test"), "NOTFOUND "),
    (lookup("domain", "*"), "NOTFOUND "),
    (lookup("domain", ""), "NOTFOUND "),
    (lookup("recipient", "team@l.test"), "OK team@l.test"),
    (lookup("recipient", "Team+tag@L.test"), "OK Team+tag@L.test"),
    (lookup("recipient", "postmaster@l.test"), "OK postmaster@l.test"),
    (lookup("recipient", "nobody@l.test"), "NOTFOUND "),
    (lookup("recipient", "closed@l.test"), "NOTFOUND "),
    (lookup("recipient", "sam@elsewhere.test"), "NOTFOUND "),
    (lookup("recipient", "@l.test"), "NOTFOUND "),
    (lookup("recipient", "a b@l.test"), "NOTFOUND "),
    (lookup("recipient", "l.test"), "NOTFOUND "),
    (lookup("transport", "team@l.test"), f"OK {LMTP}"),
    (lookup("transport", "nobody@l.test"), "NOTFOUND "),
    (lookup("transport", "*"), "NOTFOUND "),
    (lookup("aliases", "team@l.test"), "PERM there is no table aliases"),
    (access("team@l.test"), "DUNNO"),
    (access("nobody@l.test"), "550 5.1.1 There is no such address here"),
    (access("closed@l.test"), "550 5.2.1 This address takes no mail"),
    (
        access("bounces+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@l.test"),
        "550 5.7.1 This address is not valid, or no longer",
    ),
    (access("a b@l.test"), "501 5.1.3 Bad recipient address syntax"),
    (access("sam@elsewhere.test"), "DUNNO"),
    (access("postmaster"), "DUNNO"),
    (access(""), "DUNNO"),
    (access("team@[127.0.0.1]"), "DUNNO"),
)


@pytest.mark.usefixtures("_site")
def test_it_says_what_rcpt_would() -> None:
    with answering() as running, running.connect() as sock:
        for question, answer in ANSWERS:
            assert ask(sock, question) == answer, question


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("correction", "found", "action"),
    [
        ("forward", "OK gone@l.test", "DUNNO"),
        ("tell", "OK gone@l.test", "DUNNO"),
        ("refer", "NOTFOUND ", "551 5.1.6 User not local; please try <sam@new.test>"),
        ("refuse", "NOTFOUND ", f"{replies.MOVED}"),
    ],
)
def test_a_moved_address_is_refused_with_its_own_words(
    settings: Settings, correction: str, found: str, action: str
) -> None:
    settings.MOVED_DISCLOSE = True
    create_moved("gone@l.test", "sam@new.test", correction)
    with answering() as running, running.connect() as sock:
        assert ask(sock, lookup("recipient", "gone@l.test")) == found
        assert ask(sock, access("gone@l.test")) == action


@pytest.mark.usefixtures("_site")
def test_one_connection_serves_many_questions_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "lookup.sock"
    with answering(path=path) as running, running.connect() as sock:
        for _ in range(20):
            assert ask(sock, lookup("domain", "l.test")) == "OK l.test"
            assert ask(sock, access("nobody@l.test")).startswith("550 5.1.1 ")


def ends(sock: socket.socket) -> bool:
    """Whether the other side hangs up without a word."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("octets", [b"EHLO c\n\n", b"12x:", b"x" * 20_000])
def test_other_protocols_are_cut_off(octets: bytes) -> None:
    with answering() as running, running.connect() as sock:
        sock.sendall(octets)
        assert ends(sock)


@pytest.mark.parametrize("begun", [b"", b"21:recip", b"request=smtpd"])
def test_silence_and_half_a_question_are_cut_off(begun: bytes) -> None:
    patience = Patience(idle_seconds=0.05 if not begun else 60, question_seconds=0.05)
    with answering(patience) as running, running.connect() as sock:
        sock.sendall(begun)
        assert ends(sock)


def test_one_connection_too_many_is_closed(_site: None) -> None:
    with answering(Patience(connections=1)) as running, running.connect() as first:
        assert ask(first, lookup("domain", "l.test")) == "OK l.test"
        with running.connect() as second:
            assert ends(second)
        assert ask(first, lookup("domain", "l.test")) == "OK l.test"


def test_stopping_ends_idle_connections() -> None:
    with answering() as running, running.connect() as sock:
        assert ask(sock, access("")) == "DUNNO"
        sock.sendall(b"21:recip")
        running.stop()
        assert ends(sock)


@pytest.mark.parametrize(("is_shared", "mode"), [(True, 0o666), (False, 0o600)])
def test_only_a_shared_socket_is_for_others(
    tmp_path: Path, is_shared: bool, mode: int
) -> None:
    owned = sockets.OwnedSocket(tmp_path / "one.sock", is_shared=is_shared)
    sock = owned.bind()
    assert sock is not None
    with sock:
        assert stat.S_IMODE(owned.path.stat().st_mode) == mode
    owned.close()
