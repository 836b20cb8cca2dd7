"""A site for the fan-out: its database, its workers, its way out, and a sink."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.sinks import Sinks
from tests.dns import Dns
from tests.stack import ROOT, Stack, start_stack

PARTS = ("broker", "smtpd", "worker")
DOMAIN = "lists.localhost"
# Where the sink is by MX: at the listener's address it would be a loop.
ELSEWHERE = "127.0.0.2"
# Of a crowd spread over many domains.
DOMAINS = 500
# By milliseconds: a connection has one round trip a message, at 100 ms ten messages
# a second. So that they are not what there is too little of.
CONNECTIONS = {0: 10, 20: 200, 100: 1000}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a site has to be started anew for."""

    database: str = "PostgreSQL"
    workers: int = 2
    # Milliseconds.
    latency: int = 0
    route: str = "relay"

    def __str__(self) -> str:
        noun = "worker" if self.workers == 1 else "workers"
        away = f", {self.latency} ms away" if self.latency else ""
        return f"{self.database}, {self.workers} {noun}, {self.route}{away}"


@dataclass(frozen=True, slots=True)
class Site:
    """A running one."""

    setting: Setting
    stack: Stack
    sinks: Sinks
    # List by list, how many members it has.
    lists: dict[str, int]

    def people(self, address: str, count: int) -> list[str]:
        """Their addresses: elsewhere, in one domain or many."""
        name = address.partition("@")[0]
        if self.setting.route != "MX, 500 domains":
            return [f"m{n}@crowd.test" for n in range(count)]
        return [f"{name}-{n}@d{n % DOMAINS}.crowd.test" for n in range(count)]

    def need_lists(self, wanted: dict[str, int]) -> None:
        """Found those that are not there: anybody may post, so many members."""
        told = {
            address: self.people(address, count)
            for address, count in wanted.items()
            if address not in self.lists
        }
        if told:
            found(told, self.stack.env)
            self.lists.update(wanted)
            # The planner knows nothing of tables filled a second ago.
            self.stack.execute("ANALYZE")

    def need_alias(self, address: str, targets: list[str]) -> None:
        """Make it, once."""
        if address not in self.lists:
            self.lists[address] = len(targets)
            self.stack.manage("addalias", address, *targets)

    def sign(self, kind: str) -> None:
        """Copies are signed by "rsa" or "ed25519", or by nothing."""
        key = _key(kind)
        self.stack.execute(f"UPDATE smtpd_domain SET dkim_key = '{key}'")


def found(lists: dict[str, list[str]], env: dict[str, str]) -> None:
    """Have bench.founding do it: a program in the site's environment."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.founding"],
        cwd=ROOT,
        env=env,
        input=json.dumps(lists),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@functools.cache
def _key(kind: str) -> str:
    """A fresh private key as a domain keeps it."""
    if not kind:
        return ""
    size = ("-pkeyopt", "rsa_keygen_bits:2048") if kind == "rsa" else ()
    made = subprocess.run(
        ("openssl", "genpkey", "-algorithm", kind.upper(), *size),
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


@contextlib.contextmanager
def site(setting: Setting) -> Iterator[Site]:
    """Start one, and leave nothing behind."""
    with contextlib.ExitStack() as cleanup:
        latency = ("--latency", str(setting.latency))
        host = "127.0.0.1" if setting.route == "relay" else ELSEWHERE
        told = (*latency, "--by-post", "--host", host)
        sinks = cleanup.enter_context(Sinks(host=host, told=told))
        env = {
            "RELAY_TLS": "none",
            "WORKERS": str(setting.workers),
            "RELAY_CONNECTIONS": str(CONNECTIONS[setting.latency]),
        }
        relay, data = sinks.address, None
        if setting.route != "relay":
            relay = "mx"
            env |= _dns(cleanup, sinks.port)
        if setting.database == "SQLite":
            data = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
            env |= _sqlite(data)
        stack = cleanup.enter_context(
            start_stack(relay=relay, parts=PARTS, env=env, data=data)
        )
        yield Site(setting, stack, sinks, {})


def _dns(cleanup: contextlib.ExitStack, port: int) -> dict[str, str]:
    """A server that sends all mail of the crowd to the sink."""
    dns = cleanup.enter_context(Dns())
    names = ["crowd.test", *(f"d{n}.crowd.test" for n in range(DOMAINS))]
    for name in names:
        dns.add(name, "MX", f"10 mx.{name}.")
        dns.add(f"mx.{name}", "A", ELSEWHERE)
    return {"DNS_SERVER": dns.address, "MX_PORT": str(port), "MX_PRIVATE": "1"}


def _sqlite(data: Path) -> dict[str, str]:
    """A database made once for all sites of this run."""
    path = data / "folkmoot.sqlite3"
    shutil.copy(_sqlite_template(), path)
    return {"DATABASE_URL": f"sqlite:///{path}"}


@functools.cache
def _sqlite_template() -> Path:
    data = Path(tempfile.mkdtemp(prefix=f"moot-bench-{secrets.token_hex(3)}-"))
    path = data / "folkmoot.sqlite3"
    env = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "FOLKMOOT_DATA": str(data),
        "DATABASE_URL": f"sqlite:///{path}",
        "BROKER_URL": "memory://",
        "RELAY": "mailbox",
    }
    empty = {"BASE_URL": "http://127.0.0.1:1", "SMTP_BIND": "127.0.0.1:1"}
    template = Stack(data, os.environ | env | empty)
    template.manage("migrate", "-v0")
    template.manage("seed")
    return path
