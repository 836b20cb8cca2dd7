"""`manage.py up`: one command, everything alive, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.smtpd.listening import Client
from tests.stack import ROOT, wait_until
from tests.up import PARTS, Up, all_gone, environment, memory, running

pytestmark = pytest.mark.e2e


@pytest.fixture
def data() -> Iterator[Path]:
    # A space in the path, and short: a socket's name has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="moot up "))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def env(data: Path) -> dict[str, str]:
    return environment(data, workers=1)


def subscriptions(data: Path) -> int:
    with contextlib.closing(sqlite3.connect(data / "folkmoot.sqlite3")) as database:
        rows = database.execute("SELECT count(*) FROM lists_subscription").fetchall()
        return int(rows[0][0])


def kill_and_see_it_back(up: Up, part: str) -> None:
    before = wait_until(lambda: up.pid(part), 10, part)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: up.pid(part) not in {0, before}, 20, part)


def test_life_of_a_site(data: Path, env: dict[str, str]) -> None:
    with running(data, env) as up:
        wait_until(lambda: "ready." in up.said(), 60, "the worker is ready")
        # The readme's promise, with room for nothing.
        assert sum(map(memory, [up.process.pid, *up.children()])) < 250 * 1024
        people = subscriptions(data)
        assert people > 25

        second = subprocess.run(
            (sys.executable, "manage.py", "up"),
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert "already runs" in second.stderr

        for part in PARTS:
            kill_and_see_it_back(up, part)
        assert len(re.findall(r"ended code=-9", up.said())) == len(PARTS)

        pids = up.children()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(90) == 0
        assert all_gone(pids)
        stopped = re.findall(r"^(\w+) *│ stopped$", up.said(), re.M)
        assert stopped == ["smtpd", "web", "worker", "broker"]

    with running(data, env) as again:
        assert subscriptions(data) == people
        pids = again.children()
        assert len(pids) >= len(PARTS)
        os.kill(again.process.pid, signal.SIGKILL)
        again.process.wait(10)
        wait_until(lambda: all_gone(pids), 20, "all die with the supervisor")


class Stream:
    """Clients that come one after the other, and what went wrong for them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.greeted = 0
        self.faults: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._come)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(30)

    def _come(self) -> None:
        while not self._is_over.wait(0.01):
            try:
                with Client(("127.0.0.1", self.port)) as client:
                    said = client.reply()
            except OSError as error:
                said = repr(error)
            if said.startswith("220 "):
                self.greeted += 1
            else:
                self.faults.append(said)


def test_new_listeners_take_over_and_nobody_is_refused(
    data: Path, env: dict[str, str]
) -> None:
    port = int(env["SMTP_BIND"].rpartition(":")[2])
    with running(data, env | {"SMTP_PROCESSES": "2"}) as up:
        wait_until(lambda: len(up.pids("smtpd")) == 2, 20, "two listeners")
        before = up.pids("smtpd")
        wait_until(lambda: up.said().count("smtpd ready on") == 2, 30, "both answer")
        for pid in before:
            # Each takes the clients when the other cannot.
            os.kill(pid, signal.SIGSTOP)
            with Client(("127.0.0.1", port)) as client:
                assert client.reply().startswith("220 ")
            os.kill(pid, signal.SIGCONT)
        with Client(("127.0.0.1", port)) as busy, Stream(port) as stream:
            busy.reply()
            busy.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<talk@lists.localhost>\r\n")
            busy.say(b"DATA\r\n")
            assert busy.replies(4)[3] == "354 End"
            up.process.send_signal(signal.SIGHUP)
            wait_until(lambda: up.said().count("│ replaced") == 2, 60, "both replaced")
            busy.say(b"From: a@c.test\r\n\r\nhello\r\n.\r\n")
            assert busy.reply()[:4] in {"250 ", "550 "}
            assert busy.reply().startswith("421 4.3.2")
            wait_until(lambda: all_gone(before), 30, "the old ones end")
            greeted = stream.greeted
            wait_until(lambda: stream.greeted > greeted + 10, 20, "the new ones answer")
        assert stream.faults == []
        assert stream.greeted > 20
        assert "starting again" not in up.said()
        after = up.pids("smtpd")
        assert len(after) == 2
        assert not set(after) & set(before)

        # One that dies is missed by nobody who comes behind it.
        os.kill(after[0], signal.SIGKILL)
        wait_until(lambda: all_gone(after[:1]), 10, "it is gone")
        with Stream(port) as stream:
            wait_until(lambda: up.said().count("smtpd ready on") == 5, 60, "a new one")
        assert stream.faults == []

        pids = up.children()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(90) == 0
        assert all_gone(pids)


def test_errors_of_the_configuration_keep_it_from_starting(
    data: Path, env: dict[str, str]
) -> None:
    done = subprocess.run(
        (sys.executable, "manage.py", "up"),
        cwd=ROOT,
        env=env | {"RELAY": "nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "RELAY: 'nowhere' is neither mailbox, mx nor host:port." in done.stderr
    assert not (data / "valkey.lock").exists()
