"""What the supervisor decides, without any process."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project import binds
from project.supervisor import sockets
from project.supervisor.child import pause
from project.supervisor.lines import Lines, prefix, wants_colour
from project.supervisor.plan import parts, stopping

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    "FOLKMOOT_DATA": "/data",
    "BROKER_URL": "redis+socket:///data/valkey.sock?virtual_host=0",
    "WEB_BIND": "127.0.0.1:8000",
    "WEB_PROCESSES": "1",
    "SMTP_PROCESSES": "1",
    "WORKERS": "3",
}


def names(**changes: str) -> list[str]:
    return [part.name for part in parts(ENV | changes)]


def test_all_parts_start_the_broker_first() -> None:
    assert names() == ["broker", "web", "smtpd", "worker"]


def test_a_broker_elsewhere_is_not_ours_to_start() -> None:
    assert "broker" not in names(BROKER_URL="redis://127.0.0.1/0")


def test_each_listener_is_a_part() -> None:
    listeners = [name for name in names(SMTP_PROCESSES="2") if "smtpd" in name]
    assert listeners == ["smtpd-1", "smtpd-2"]


def test_only_listeners_get_the_sockets_of_mail() -> None:
    listeners = [part.name for part in parts(ENV) if part.is_listener]
    assert listeners == ["smtpd"]


def test_the_sockets_of_mail_are_bound_once_and_found_by_name(tmp_path: Path) -> None:
    env = {
        "FOLKMOOT_DATA": str(tmp_path),
        "SMTP_BIND": "127.0.0.1:0",
        "LMTP_BIND": str(tmp_path / "lmtp.sock"),
        "SUBMISSION_BIND": "",
        "RELAY": "mailbox",
    }
    bound = sockets.bind(env)
    try:
        assert [name for name, _ in bound] == ["smtp", "lmtp", "mailbox"]
        program = (
            "from project.supervisor import sockets as ours;"
            "from smtpd.listener import sockets as theirs;"
            "import sys; ours.take_over(sys.argv[1]);"
            "found = theirs.inherited();"
            "print({name: [s.getsockname() for s in some] "
            "for name, some in found.items()}, theirs.inherited())"
        )
        done = subprocess.run(
            (sys.executable, "-c", program, sockets.as_words(bound)),
            pass_fds=[sock.fileno() for _, sock in bound],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        expected = {name: [sock.getsockname()] for name, sock in bound}
        assert done.stdout == f"{expected} {{}}\n"
        # Another process answers at the paths: they are left to the listeners.
        again = sockets.bind(env)
        assert [name for name, _ in again] == ["smtp"]
    finally:
        for _, sock in (*bound, *again):
            sock.close()


def test_a_place_that_cannot_be_bound_is_named() -> None:
    with pytest.raises(OSError, match=r"SMTP_BIND: cannot listen on 192\.0\.2\.1:25: "):
        sockets.bind({"SMTP_BIND": "192.0.2.1:25"})


def test_new_work_stops_first_and_the_broker_last() -> None:
    order = stopping(names(SMTP_PROCESSES="2"))
    assert order == [["smtpd-1", "smtpd-2"], ["web"], ["worker"], ["broker"]]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.5), (2, 1), (3, 2), (7, 30), (5000, 30)]
)
def test_each_failure_doubles_the_pause(failures: int, seconds: float) -> None:
    assert pause(failures) == seconds


def test_lines_are_whole_however_they_come() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\r\nthr\xff") == ["two"]
    assert lines.feed(b"") == ["thr\ufffd"]
    assert lines.feed(b"") == []


def test_endless_line_is_cut() -> None:
    assert len(Lines().feed(b"x" * 70_000)) == 1


def test_colours_only_for_a_terminal_that_wants_them() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert wants_colour(Terminal(), {})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(io.StringIO(), {})
    assert "\x1b" not in prefix("web", colour=False)
    assert "\x1b" in prefix("smtpd-2", colour=True)


@pytest.mark.parametrize(
    ("bind", "where"),
    [
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[::1]:25", ("::1", 25)),
        (":25", ("", 25)),
        ("mail.example.org:2525", ("mail.example.org", 2525)),
    ],
)
def test_bind_is_host_and_port(bind: str, where: tuple[str, int]) -> None:
    assert binds.split(bind) == where


def test_every_address_is_reached_on_this_machine() -> None:
    assert binds.reach("0.0.0.0:25") == ("127.0.0.1", 25)
    assert binds.reach("[::]:25") == ("::1", 25)
    assert binds.reach(":25") == ("127.0.0.1", 25)


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import smtpd; print(smtpd.__file__)"),
        ("-m", "celery", "-A", "project", "--version"),
        ("-m", "smtpd"),
    ],
)
def test_our_smtpd_hides_the_standard_librarys(command: tuple[str, ...]) -> None:
    """Python 3.11 still ships a module of that name; ours must win everywhere."""
    done = subprocess.run(
        (sys.executable, *command),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    # Ours is a package without __main__; the library's would start a server.
    expected = {"-c": str(ROOT / "smtpd" / "__init__.py"), "-m": ""}[command[0]]
    assert expected in said
    if command == ("-m", "smtpd"):
        assert "smtpd.__main__" in said


def test_what_is_loaded_for_all_starts_and_opens_nothing(tmp_path: Path) -> None:
    """A thread or a connection would not survive the fork, or be used by two."""
    program = (
        "import os, sys, threading; before = set(os.listdir('/proc/self/fd'));"
        "from project.supervisor.loading import load; load();"
        "from django.db import connection;"
        "print(threading.active_count(), connection.connection,"
        " set(os.listdir('/proc/self/fd')) - before)"
    )
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=ROOT,
        env=os.environ | {"FOLKMOOT_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "1 None set()"
