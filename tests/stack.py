"""The real product for tests: its own processes, database, broker and ports.

On SQLite with the embedded broker, or on what TEST_DATABASE_URL and
TEST_BROKER_URL (else DATABASE_URL and BROKER_URL) point to: a fresh database on
that PostgreSQL server and an unused database number of that Redis.

    with start_stack(relay="127.0.0.1:2626") as stack:
        stack.manage("addlist", "dogs@lists.localhost")
        stack.kill("worker")
        stack.start("worker")
        wait_until(lambda: stack.count("SELECT count(*) FROM smtpd_copy") == 3, 20)
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import redis

from project.supervisor import plan

ROOT = Path(__file__).resolve().parent.parent
ALL = ("broker", "web", "smtpd", "worker")
T = TypeVar("T")


def wait_until(predicate: Callable[[], T], seconds: float, what: str = "") -> T:
    """Return the first true answer; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or predicate}")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """A running site. Its parts are named as the supervisor names them."""

    def __init__(self, data: Path, env: dict[str, str]) -> None:
        self.data = data
        self.env = env
        self.base_url = env["BASE_URL"]
        self.smtp_host, _, port = env["SMTP_BIND"].rpartition(":")
        self.smtp_port = int(port)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start these parts; say nothing about whether they answer yet."""
        for part in plan.parts(self.env):
            if part.name.split("-")[0] in names:
                with self.log(part.name).open("ab") as log:
                    self.processes[part.name] = subprocess.Popen(
                        part.argv,
                        cwd=ROOT,
                        env=self.env | plan.ENVIRONMENT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )

    def log(self, name: str) -> Path:
        """Where the part's output goes."""
        return self.data / f"{name}.log"

    def kill(self, name: str) -> None:
        """End the part and its children at once, as a crash does."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self, name: str, seconds: float = 30) -> int:
        """End the part as the supervisor does; return its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            return process.wait(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Kill and start."""
        self.kill(name)
        self.start(name.split("-")[0])

    def manage(self, *argv: str, stdin: str = "") -> str:
        """Run manage.py in this site; return its output, fail if it fails."""
        done = subprocess.run(
            (sys.executable, "manage.py", *argv),
            cwd=ROOT,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the site's database; %s stands for each value."""
        url = self.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
                return database.execute(sql.replace("%s", "?"), values).fetchall()
        with psycopg.connect(url) as connection:
            # The text is the test's own.
            return connection.execute(sql.encode(), values or None).fetchall()

    def execute(self, sql: str) -> None:
        """Change the site's database behind its back."""
        url = self.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
                database.execute(sql)
                database.commit()
            return
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def count(self, sql: str, *values: object) -> int:
        """Return the first column of the first row."""
        return int(self.rows(sql, *values)[0][0])

    def get(self, path: str) -> tuple[int, str]:
        """Fetch a page: status and body."""
        try:
            with urllib.request.urlopen(self.base_url + path, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_ready(self, *names: str, seconds: float = 60) -> None:
        """Wait until these parts do their work."""
        if "broker" in names and self.env["BROKER_URL"].startswith("redis+"):
            wait_until((self.data / "valkey.sock").exists, seconds, "broker")
        if "smtpd" in names:
            wait_until(self._smtpd_greets, seconds, "smtpd greets")
        if "web" in names:
            wait_until(self._web_answers, seconds, "web answers")
        if {"worker", "web"} <= set(names):
            wait_until(self._beats, seconds, "a beat is worked off")

    def _smtpd_greets(self) -> bool:
        with contextlib.suppress(OSError):
            address = (self.smtp_host, self.smtp_port)
            with socket.create_connection(address, timeout=2) as peer:
                return peer.recv(3) == b"220"
        return False

    def _web_answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/healthz")[0] == 200
        return False

    def _beats(self) -> bool:
        with contextlib.suppress(OSError):
            return '"beat_age_seconds": null' not in self.get("/healthz")[1]
        return False

    def close(self) -> None:
        """End all that is left, the broker last."""
        for name in sorted(self.processes, key="broker".__eq__):
            self.kill(name)


@contextlib.contextmanager
def start_stack(
    *,
    relay: str = "mailbox",
    parts: tuple[str, ...] = ALL,
    seed: bool = True,
    env: dict[str, str] | None = None,
    data: Path | None = None,
) -> Iterator[Stack]:
    """Start a site, wait until it works, and leave nothing behind.

    With seed it has the demonstration: talk@, news@ and hello@lists.localhost.
    A DATABASE_URL or BROKER_URL in env is the caller's, migrated already, and so
    is a folder for the data.
    """
    env = env or {}
    with contextlib.ExitStack() as cleanup:
        # A short path: a unix socket's name has 107 bytes.
        if data is None:
            data = Path(tempfile.mkdtemp(prefix="moot-"))
            cleanup.callback(shutil.rmtree, data, ignore_errors=True)
        database, broker = env.get("DATABASE_URL", ""), env.get("BROKER_URL", "")
        database = database or cleanup.enter_context(_database(data, seed=seed))
        broker = broker or cleanup.enter_context(_broker(data))
        stack = Stack(data, _environment(data, database, broker, relay) | env)
        cleanup.callback(stack.close)
        (data / "static").symlink_to(_static())
        stack.start(*parts)
        stack.wait_ready(*parts)
        yield stack


def _environment(data: Path, database: str, broker: str, relay: str) -> dict[str, str]:
    web, smtp = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    own = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "FOLKMOOT_DATA": str(data),
        "DATABASE_URL": database,
        "BROKER_URL": broker,
        "WEB_BIND": web,
        "SMTP_BIND": smtp,
        "BASE_URL": f"http://{web}",
        "SMTP_HOSTNAME": "mx.folkmoot.test",
        "RELAY": relay,
        "WEB_PROCESSES": "1",
        "SMTP_PROCESSES": "1",
        "WORKERS": "2",
    }
    return os.environ | own


def _setting(name: str, scheme: str) -> str:
    """Return the URL that the environment gives, if it is of this kind."""
    url = os.environ.get(f"TEST_{name}") or os.environ.get(name, "")
    return url if url.startswith(scheme) else ""


@contextlib.contextmanager
def _database(data: Path, *, seed: bool) -> Iterator[str]:
    """A database of its own, copied from one that was migrated once."""
    template = _template(seed)
    if template.startswith("sqlite"):
        path = data / "folkmoot.sqlite3"
        shutil.copy(template.removeprefix("sqlite:///"), path)
        yield f"sqlite:///{path}"
        return
    name = f"moot_{secrets.token_hex(6)}"
    source = urlsplit(template).path[1:]
    _sql(template, f"CREATE DATABASE {name} TEMPLATE {source}")
    try:
        yield urlsplit(template)._replace(path=f"/{name}").geturl()
    finally:
        _sql(template, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _sql(url: str, statement: str) -> None:
    server = urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


@functools.cache
def _template(seed: bool) -> str:
    """Migrate once for the whole run."""
    data = Path(tempfile.mkdtemp(prefix="moot-template-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    url = f"sqlite:///{data / 'template.sqlite3'}"
    if server := _setting("DATABASE_URL", "postgres"):
        name = f"moot_template_{secrets.token_hex(6)}"
        _sql(server, f"CREATE DATABASE {name}")
        atexit.register(_sql, server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        url = urlsplit(server)._replace(path=f"/{name}").geturl()
    site = Stack(data, _environment(data, url, "memory://", "mailbox"))
    site.manage("migrate", "-v0")
    if seed:
        site.manage("seed")
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(data / "template.sqlite3")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return url


@functools.cache
def _static() -> Path:
    """Collect the pages' files once for the whole run."""
    data = Path(tempfile.mkdtemp(prefix="moot-static-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    url = f"sqlite:///{data / 'none.sqlite3'}"
    site = Stack(data, _environment(data, url, "memory://", "mailbox"))
    site.manage("collectstatic", "--no-input", "-v0")
    return data / "static"


@contextlib.contextmanager
def _broker(data: Path) -> Iterator[str]:
    """The embedded one, or a number of the given Redis that nobody uses."""
    server = _setting("BROKER_URL", "redis://")
    if not server:
        yield f"redis+socket://{data / 'valkey.sock'}?virtual_host=0"
        return
    base = urlsplit(server)
    for number in range(2, 16):
        url = base._replace(path=f"/{number}").geturl()
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            if client.dbsize() or not client.set("test-owner", os.getpid(), nx=True):
                continue
            _forget_cache(base._replace(path="/1").geturl(), number)
            try:
                yield url
            finally:
                client.flushdb()
            return
    raise AssertionError(f"all databases of {server} are in use")


def _forget_cache(url: str, number: int) -> None:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter(f"folkmoot/{number}:*"):
            client.delete(key)
