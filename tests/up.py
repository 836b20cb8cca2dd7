"""`manage.py up` as a process, for tests and the benchmark."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.stack import ROOT, free_port, wait_until

# A part's process is named for it; the broker is a program of its own.
PARTS = {
    "broker": "valkey-server",
    "web": "web",
    "smtpd": "smtpd",
    "worker": "worker",
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
        return next(iter(self.pids(part)), 0)

    def pids(self, part: str) -> list[int]:
        """Those of a part that runs more than once."""
        found = []
        for pid in direct_children(self.process.pid):
            with contextlib.suppress(OSError):
                if name_of(pid).split("-")[0] == PARTS[part].split("-")[0]:
                    found.append(pid)
        return found


def name_of(pid: int) -> str:
    """What `ps -e` shows; a listener that took over is a program of its own."""
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return "smtpd" if b"smtpd" in command else name


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


def environment(data: Path, *, workers: int) -> dict[str, str]:
    """A site of its own on SQLite and the embedded broker."""
    web = f"127.0.0.1:{free_port()}"
    own = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "FOLKMOOT_DATA": str(data),
        "WEB_BIND": web,
        "SMTP_BIND": f"127.0.0.1:{free_port()}",
        "BASE_URL": f"http://{web}",
        "WORKERS": str(workers),
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
