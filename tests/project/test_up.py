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

from tests.stack import ROOT, free_port, wait_until

pytestmark = pytest.mark.e2e

PARTS = {
    "broker": "valkey-server",
    "web": "granian",
    "smtpd": "manage.py smtpd",
    "worker": "project --quiet worker",
    "clock": "project.clock",
}


class Up:
    """A running `up` and what it has said so far."""

    def __init__(self, data: Path, env: dict[str, str]) -> None:
        self.log = data / "up.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                (sys.executable, "manage.py", "up", "--seed"),
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self) -> None:
        wait_until(
            lambda: "Sign in:" in self.said() or self.process.poll() is not None, 90
        )
        assert self.process.poll() is None, self.said()

    def children(self) -> list[int]:
        return descendants(self.process.pid)

    def pid(self, part: str) -> int:
        """The part's main process, 0 when there is none at the moment."""
        for pid in direct_children(self.process.pid):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if PARTS[part] in command.decode() and b"tether" not in command:
                    return pid
        return 0


def direct_children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        path = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in path.read_text().split()]
    return []


def descendants(pid: int) -> list[int]:
    found = direct_children(pid)
    return found + [deeper for child in found for deeper in descendants(child)]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def all_gone(pids: list[int]) -> bool:
    return not any(is_alive(pid) for pid in pids)


@pytest.fixture
def data() -> Iterator[Path]:
    # A space in the path, and short: a socket's name has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="moot up "))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def env(data: Path) -> dict[str, str]:
    web = f"127.0.0.1:{free_port()}"
    own = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "FOLKMOOT_DATA": str(data),
        "WEB_BIND": web,
        "SMTP_BIND": f"127.0.0.1:{free_port()}",
        "BASE_URL": f"http://{web}",
        "WORKERS": "1",
    }
    outside = ("DATABASE_URL", "BROKER_URL", "RELAY", "SMTP_HOSTNAME")
    return {k: v for k, v in os.environ.items() if k not in outside} | own


@contextlib.contextmanager
def running(data: Path, env: dict[str, str]) -> Iterator[Up]:
    up = Up(data, env)
    try:
        up.wait_ready()
        yield up
    finally:
        pids = [up.process.pid, *up.children()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        up.process.wait(10)


def memory(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", rollup, re.M)
    assert found is not None
    return int(found[1])


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
    assert "RELAY: 'nowhere' is none of mailbox, mx, host:port." in done.stderr
    assert not (data / "valkey.lock").exists()
