"""`manage.py smtpd` as operators run it: start, share, drain, and no database."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.supervisor import sockets
from tests import certificates
from tests.smtpd.listening import OPEN, Client, until
from tests.stack import ROOT, free_port


class Process:
    """A listener of its own, on an empty data folder: no table is there."""

    def __init__(
        self, data: Path, port: int, *, bound: sockets.Bound = (), **more: str
    ) -> None:
        self.log = data / f"smtpd-{os.urandom(4).hex()}.log"
        self.mailbox = str(data / "mailbox.sock")
        self.port = port
        env = {
            **os.environ,
            "FOLKMOOT_DATA": str(data),
            "DATABASE_URL": f"sqlite:///{data}/nothing.sqlite3",
            "SMTP_BIND": f"127.0.0.1:{port}",
            "SMTP_HOSTNAME": "mx.test",
            "RELAY": "mailbox",
            **more,
        }
        env.pop("DJANGO_SETTINGS_MODULE", None)
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                (*_handing(bound), sys.executable, "manage.py", "smtpd"),
                cwd=ROOT,
                env=env,
                pass_fds=[sock.fileno() for _, sock in bound],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self) -> None:
        until(lambda: "smtpd ready on " in self.log.read_text() or self.is_gone(), 60)
        assert not self.is_gone(), self.log.read_text()

    def is_gone(self) -> bool:
        return self.popen.poll() is not None

    def connect(self) -> Client:
        return Client(("127.0.0.1", self.port))

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match.group(1))

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait(20)


def _handing(bound: sockets.Bound) -> tuple[str, ...]:
    """As the supervisor starts it; or systemd, with what is bound already."""
    program = (
        "import os, sys; from project.supervisor import sockets;"
        "sockets.take_over(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    )
    return (sys.executable, "-c", program, sockets.as_words(bound))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path, free_port())
    try:
        running.wait_ready()
        yield running
    finally:
        running.close()


def test_without_a_database_it_answers_451_and_stays(process: Process) -> None:
    with process.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<talk@l.test>\r\n")
        assert client.replies(2)[1] == "250 2.1.0"
        reply = client.reply()
        assert re.fullmatch(r"451 4\.3\.0 [^:]*\(id [0-9a-f]{8}\)", reply)
        name = reply[-9:-1]
        assert f"id={name}" in process.log.read_text()
        client.say(b"DATA\r\nQUIT\r\n")
        assert client.replies(2) == ["554 5.5.1", "221 2.0.0"]
    with Client(process.mailbox) as client:
        client.open()
        assert client.ask(b"hello\r\n.\r\n").startswith("451 4.3.0 ")
        assert client.ask(b"NOOP\r\n").startswith("250 ")


def test_endless_lines_take_no_memory(process: Process) -> None:
    with Client(process.mailbox) as client:
        client.open()
        client.say(b"warm up\r\n" * 20_000 + b".\r\n")
        client.reply()
    before = process.peak_kib()
    for opening in (False, True):
        with Client(process.mailbox) as client:
            if opening:
                client.open()
            # Cut off half-way: the server does not take it to the end.
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    client.say(b"x" * 1_000_000)
    with process.connect() as client:
        assert client.reply().startswith("220 ")
    assert process.peak_kib() - before < 10 * 1024


def test_many_large_messages_at_once_take_little_memory(process: Process) -> None:
    """F30: they wait in files, and few of them are whole in memory at a time."""
    count, piece = 12, b"x" * 998 + b"\r\n"
    before = process.peak_kib()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(process.mailbox)) for _ in range(count)]
        for client in clients:
            client.open()
        for _ in range(25):
            for client in clients:
                client.say(piece * 1000)
        for client in clients:
            client.say(b".\r\n")
        # There is no table to keep them in.
        assert {client.reply()[:4] for client in clients} == {"451 "}
    # Two messages with their way into the database, of twelve.
    assert process.peak_kib() - before < 256 * 1024


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_it_and_it_exits_with_0(
    process: Process, number: signal.Signals
) -> None:
    with process.connect() as idle:
        assert idle.reply().startswith("220 ")
        process.popen.send_signal(number)
        assert idle.reply().startswith("421 4.3.2")
        assert idle.reply() == ""
    assert process.popen.wait(20) == 0


def test_two_share_a_port_and_the_second_inherits_the_mailbox(
    process: Process, tmp_path: Path
) -> None:
    second = Process(tmp_path, process.port)
    try:
        second.wait_ready()
        process.popen.kill()
        process.popen.wait(20)
        with second.connect() as client:
            assert client.reply().startswith("220 ")
        until(lambda: _greets(process.mailbox))
        with Client(process.mailbox) as client:
            assert client.reply().startswith("220 ")
            client.say(OPEN)
            assert client.replies(4)[2] == "250 2.1.5"
    finally:
        second.close()


def _greets(path: str) -> bool:
    with contextlib.suppress(OSError), Client(path) as client:
        return client.reply().startswith("220 ")
    return False


def test_who_comes_while_no_listener_is_there_waits_for_the_next(
    tmp_path: Path,
) -> None:
    """What systemd does with a .socket unit, and our supervisor with its own."""
    port = free_port()
    env = {"SMTP_BIND": f"127.0.0.1:{port}", "FOLKMOOT_DATA": str(tmp_path)}
    bound = sockets.bind(env | {"RELAY": "mailbox"})
    # The settings need not say it again.
    first = Process(tmp_path, port, bound=bound, SMTP_BIND="")
    second = None
    try:
        first.wait_ready()
        assert f"ready on 127.0.0.1:{port}, {first.mailbox}" in first.log.read_text()
        with first.connect() as client:
            assert client.reply().startswith("220 ")
            first.popen.send_signal(signal.SIGTERM)
            assert client.reply().startswith("421 4.3.2")
        assert first.popen.wait(20) == 0
        with first.connect() as waiting, Client(first.mailbox) as other:
            second = Process(tmp_path, port, bound=bound)
            second.wait_ready()
            assert waiting.reply().startswith("220 ")
            assert other.reply().startswith("220 ")
    finally:
        for running in (first, second):
            if running:
                running.close()
        for _, sock in bound:
            sock.close()


def test_a_socket_nobody_knows_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        process = Process(tmp_path, free_port(), bound=[("folkmoot.socket", sock)])
        assert process.popen.wait(60) == 1
    said = process.log.read_text()
    assert "smtpd cannot start: nobody knows what a socket called" in said
    assert "Traceback" not in said


def test_hangup_reads_the_certificate_again(tmp_path: Path) -> None:
    pem = tmp_path / "mx.pem"
    certificates.write(pem)
    process = Process(tmp_path, free_port(), TLS_CERT=str(pem), TLS_KEY=str(pem))
    try:
        process.wait_ready()
        with process.connect() as early:
            assert early.reply().startswith("220 ")
            before = _certificate(process)
            certificates.write(pem)
            process.popen.send_signal(signal.SIGHUP)
            until(lambda: "certificate read again" in process.log.read_text())
            assert _certificate(process) != before
            pem.write_text("broken")
            process.popen.send_signal(signal.SIGHUP)
            until(lambda: "certificate not read" in process.log.read_text())
            assert _certificate(process) != before
            # Nobody noticed.
            assert early.ask(b"NOOP\r\n").startswith("250 ")
    finally:
        process.close()


def _certificate(process: Process) -> bytes:
    with process.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.replies(2)
        client.start_tls()
        assert isinstance(client.sock, ssl.SSLSocket)
        found = client.sock.getpeercert(binary_form=True)
        assert found
        return found


def test_an_address_that_cannot_be_bound_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "manage.py", "smtpd"),
        cwd=ROOT,
        env={
            **os.environ,
            "FOLKMOOT_DATA": str(tmp_path),
            "SMTP_BIND": "192.0.2.1:25",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "smtpd cannot start: " in done.stderr
    assert "Traceback" not in done.stderr
