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
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        assert sum(map(memory, [up.process.pid, *up.children()])) < 400 * 1024
        assert memory(up.process.pid) < 16 * 1024
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
        assert stopped == ["smtpd", "web", "worker", "clock", "broker"]

    with running(data, env) as again:
        assert subscriptions(data) == people
        pids = again.children()
        assert len(pids) >= len(PARTS)
        os.kill(again.process.pid, signal.SIGKILL)
        again.process.wait(10)
        wait_until(lambda: all_gone(pids), 20, "all die with the supervisor")


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
