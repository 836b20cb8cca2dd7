"""A PostgreSQL and a Redis of a test's own, to be killed, hung and filled up.

with Postgres(folder) as postgres:
    postgres.stop(signal.SIGQUIT)
    postgres.start()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
import redis

from tests.stack import free_port, wait_until
from tests.up import descendants, is_alive

_ROOT = "/usr/lib/postgresql"
_USER = "postgres"
# Small, and durable as a site's own: nothing here touches fsync.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "wal_keep_size": "0",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "log_min_messages": "fatal",
}


def programs() -> Path | None:
    """Where PostgreSQL's programs are, the newest; None: not on this machine."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [
        path for path in Path(_ROOT).glob("*/bin") if (path / "initdb").exists()
    ]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def _as_postgres() -> tuple[str, ...]:
    """PostgreSQL does not run as root."""
    if os.geteuid():
        return ()
    return ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups")


class Postgres:
    """A cluster in a folder; makes it unless it is there. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For DATABASE_URL."""
        return f"postgres://{_USER}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        if not (self.folder / "PG_VERSION").exists():
            self._run("initdb", "-A", "trust", "-U", _USER, "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _program(self, name: str) -> tuple[str, ...]:
        found = programs()
        assert found is not None, "no PostgreSQL on this machine"
        return (*_as_postgres(), str(found / name), "-D", str(self.folder))

    def _run(self, name: str, *argv: str) -> None:
        if not os.geteuid():
            shutil.chown(self.folder, _USER, _USER)
        subprocess.run((*self._program(name), *argv), check=True, capture_output=True)

    def start(self, seconds: float = 30) -> None:
        """Start it unless it runs, and wait until it answers."""
        if not self.is_running():
            options = [f"-c{name}={value}" for name, value in _OPTIONS.items()]
            with (self.folder / "server.log").open("ab") as log:
                self._process = subprocess.Popen(
                    (*self._program("postgres"), "-p", str(self.port), *options),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        wait_until(self.answers, seconds, f"PostgreSQL answers: {self.log()}")

    def log(self) -> str:
        """The last of what it had to say."""
        with contextlib.suppress(OSError):
            return (self.folder / "server.log").read_text()[-2000:]
        return ""

    def is_running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Whether somebody gets in."""
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        return False

    def pids(self) -> list[int]:
        """Its first process and all that it has started."""
        if self._process is None or not self.is_running():
            return []
        return [self._process.pid, *descendants(self._process.pid)]

    def writers(self) -> list[int]:
        """The processes that make a commit durable."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type IN ('client backend', 'walwriter')"
            )
            return [pid for (pid,) in rows]

    def stop(self, how: signal.Signals, seconds: float = 30) -> None:
        """End it: SIGINT is fast, SIGQUIT immediate, SIGKILL a crash."""
        if how is signal.SIGKILL:
            self.kill()
        elif self._process is not None:
            self._process.send_signal(how)
            self._process.wait(seconds)

    def kill(self) -> None:
        """End all its processes at once."""
        pids = self.pids()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
        # Or the next one finds the memory they share in use.
        wait_until(lambda: not any(map(is_alive, pids)), 10, "PostgreSQL has gone")

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Have nothing of it move meanwhile; its sockets stay open."""
        pids = self.pids()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)


class Redis:
    """A Redis that keeps nothing; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For BROKER_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._process is None:
            keeps_nothing = ("--save", "", "--appendonly", "no")
            self._process = subprocess.Popen(
                ("redis-server", "--port", str(self.port), *keeps_nothing),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_until(self.answers, 20, "Redis answers")

    def answers(self) -> bool:
        """Whether somebody gets in."""
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> redis.Redis:
        """Somebody who talks to it; a context manager."""
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        """Have it forget everything."""
        with self.client() as client:
            client.flushall()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Have it say nothing meanwhile; its sockets stay open."""
        assert self._process is not None, "it does not run"
        _signal(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(self._process.pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
