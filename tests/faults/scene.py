"""The whole product on stores of its own, a sink behind it, and people to reach.

with scene("postgres", seed=3) as scene, scene.load() as load:
    blows = plan(scene.seed, 20, {"kill smtpd": (0, 0)})
    scene.storm(load, blows, {"kill smtpd": lambda blow: scene.stack.restart("smtpd")})
# reconciled: nothing lost, nothing doubled that the ledger does not know of
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.load import Load
from tests.faults.places import Place, make_places
from tests.faults.reconcile import Report, reconcile
from tests.faults.stores import Postgres, Redis, programs
from tests.faults.storm import Blow, Strike, strike
from tests.faults.told import UNTOLD
from tests.sink import Sink
from tests.stack import Stack, start_stack, wait_until

# Pages have no part in it.
PARTS = ("broker", "smtpd", "worker")
LEASE = 4
# What is at no end, and in whose hands.
OPEN = """
SELECT destination, state, lane, attempts, claims, lease, count(*), min(id),
  min(next_attempt_at), max(updated_at), max(text)
FROM smtpd_delivery WHERE state NOT IN ('sent', 'failed')
GROUP BY destination, state, lane, attempts, claims, lease ORDER BY destination
"""
UNFROZEN = "SELECT id, created_at FROM lists_post WHERE fanned_out_at IS NULL"
# Seeds whose storms have their full length.
LONG = range(1, 4)
# I6: once all is well again. The lease of a killed worker and a sweep are in it.
QUIET_WITHIN = 90


@dataclass
class Scene:
    """One site under one seed."""

    seed: int
    stack: Stack
    sink: Sink
    places: Sequence[Place]
    # None: SQLite and the embedded broker.
    postgres: Postgres | None = None
    redis: Redis | None = None
    blows: Sequence[Blow] = field(default_factory=list)

    def __post_init__(self) -> None:
        # For what a row draws beside its schedule.
        self.chance = random.Random(self.seed)
        # All next servers there are.
        self.sinks = [self.sink]
        # Machines beside the first one, with the same stores.
        self.machines: list[Stack] = []

    def load(self, **how: Any) -> Load:
        """Clients of the site; not sending yet."""
        return Load(self.stack.smtp_port, self.places, seed=self.seed, **how)

    def storm(
        self, load: Load, blows: Sequence[Blow], how: Mapping[str, Strike]
    ) -> None:
        """Have these faults while the load runs, then let it end."""
        self.blows = blows
        with self.telling(load):
            strike(blows, how)
            load.stop()

    def settle(
        self,
        load: Load,
        *others: Load,
        most_doubled: int | None = 0,
        excuses: frozenset[str] = frozenset(),
        seconds: float = QUIET_WITHIN,
    ) -> Report:
        """Wait until nothing moves any more, and hold us to our promises.

        `most_doubled` bounds the second copies; None leaves that to the ledger.
        """
        with self.telling(load):
            wait_until(self.is_quiet, seconds, "all at an end")
            submissions = [sent for one in (load, *others) for sent in one.all()]
            copies = [copy for sink in self.sinks for copy in sink.messages]
            report = reconcile(self.stack, submissions, copies, excuses=excuses)
            assert not report.trouble, str(report)
            assert report.promised, "nothing was promised: this proves nothing"
            if most_doubled is not None:
                doubled = report.doubled + report.told.doubled
                assert doubled <= most_doubled, str(report)
            return report

    def is_quiet(self) -> bool:
        """Whether every post is frozen, every delivery at its end, and all told."""
        with contextlib.suppress(psycopg.Error, sqlite3.Error):
            return not self.stack.count(
                "SELECT (SELECT count(*) FROM smtpd_delivery WHERE state = 'queued')"
                " + (SELECT count(*) FROM lists_post"
                "    WHERE state = 'accepted' AND fanned_out_at IS NULL)"
                " + (SELECT count(*) FROM smtpd_report WHERE settled_at IS NULL)"
                f" + ({UNTOLD})"
            )
        return False

    @contextlib.contextmanager
    def telling(self, load: Load | None = None) -> Iterator[None]:
        """Print what a failure is repeated and understood with."""
        try:
            yield
        except BaseException:
            print(f"seed {self.seed}", *self.blows, sep="\n  ")
            if load is not None:
                print(f"{len(load.all())} begun, {len(load.promised())} promised")
            with contextlib.suppress(psycopg.Error, sqlite3.Error):
                print("open", *self.stack.rows(OPEN), sep="\n  ")
                print("not frozen", *self.stack.rows(UNFROZEN), sep="\n  ")
            logs = [*self.stack.data.glob("*.log")]
            for machine in self.machines:
                logs += machine.data.glob("*.log")
            for name in sorted(logs):
                print(f"--- {name.name}", name.read_text()[-3000:], sep="\n")
            raise

    # --- faults that more than one row needs

    def kill_listener(self, blow: Blow, machine: Stack | None = None) -> None:
        """kill -9, and a new one after a while."""
        machine = machine or self.stack
        machine.kill("smtpd")
        time.sleep(blow.lasts)
        self.start_listener(machine)

    def start_listener(self, machine: Stack | None = None) -> None:
        """One that answers, in place of one that ended."""
        machine = machine or self.stack
        machine.start("smtpd")
        machine.wait_ready("smtpd")

    def kill_workers(self, blow: Blow, machine: Stack | None = None) -> None:
        """kill -9 of the parent and its children, and new ones after a while."""
        machine = machine or self.stack
        machine.kill("worker")
        time.sleep(blow.lasts)
        machine.start("worker")

    def flush_broker(self, blow: Blow) -> None:
        """Everything that was queued there is gone."""
        assert self.redis is not None
        self.redis.flush()

    def stop_broker(self, blow: Blow) -> None:
        """kill -9, and a new one, empty, after a while."""
        assert self.redis is not None
        self.redis.kill()
        time.sleep(blow.lasts)
        self.redis.start()

    def stop_database(self, blow: Blow) -> None:
        """By the blow's name: fast, immediate or crash; and up again."""
        assert self.postgres is not None
        how = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.postgres.stop(how.get(blow.name, signal.SIGKILL))
        time.sleep(blow.lasts)
        self.postgres.start()


@contextlib.contextmanager
def scene(
    kind: str,
    seed: int,
    *,
    parts: tuple[str, ...] = PARTS,
    env: Mapping[str, str] | None = None,
    sink: Sink | None = None,
    folder: Path | None = None,
    home: Path | None = None,
) -> Iterator[Scene]:
    """Start a site on "postgres" (with its own Redis) or on "sqlite".

    `folder` is where its database lives, and `home` where everything does: disks
    that can fill up.
    """
    with contextlib.ExitStack() as cleanup:
        data = Path(tempfile.mkdtemp(prefix="moot-", dir=home))
        # PostgreSQL and its user have to get to their folder.
        data.chmod(0o755)
        cleanup.callback(shutil.rmtree, data, ignore_errors=True)
        folder = folder or data
        made, places = _template(kind)
        postgres = redis = None
        own = {"LEASE_SECONDS": str(LEASE)} | dict(env or {})
        if kind == "postgres":
            _copy(made / "pg", folder / "pg")
            postgres = cleanup.enter_context(Postgres(folder / "pg"))
            own["DATABASE_URL"] = postgres.url
            redis = cleanup.enter_context(Redis(data))
            own["BROKER_URL"] = redis.url
            parts = tuple(part for part in parts if part != "broker")
        else:
            shutil.copy(made / "site.sqlite3", folder / "site.sqlite3")
            own["DATABASE_URL"] = f"sqlite:///{folder / 'site.sqlite3'}"
            own["BROKER_URL"] = f"redis+socket://{data / 'valkey.sock'}?virtual_host=0"
        told = cleanup.enter_context(sink or Sink())
        stack = cleanup.enter_context(
            start_stack(relay=told.relay, parts=parts, env=own, data=data)
        )
        yield Scene(seed, stack, told, places, postgres, redis)


@functools.cache
def _template(kind: str) -> tuple[Path, list[Place]]:
    """Make the site once for the whole run; each scene starts from a copy."""
    data = Path(tempfile.mkdtemp(prefix="moot-template-"))
    data.chmod(0o755)
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    if kind == "sqlite":
        url = f"sqlite:///{data / 'site.sqlite3'}"
        places = _furnish(data, url)
        with contextlib.closing(sqlite3.connect(data / "site.sqlite3")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return data, places
    (data / "pg").mkdir(mode=0o700)
    with Postgres(data / "pg") as postgres:
        places = _furnish(data, postgres.url)
        postgres.stop(signal.SIGINT)
    return data, places


def _furnish(data: Path, url: str) -> list[Place]:
    with start_stack(
        parts=(), env={"DATABASE_URL": url, "BROKER_URL": "memory://"}, data=data
    ) as site:
        site.manage("migrate", "-v0")
        site.manage("seed")
        return make_places(site)


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, which PostgreSQL is particular about."""
    subprocess.run(("cp", "-a", str(source), str(target)), check=True)


def seconds(seed: int, short: float, full: float) -> float:
    """How long a storm is: ./run test has the seed 0, and little time.

    Three are long. What the others have that these have not is their seed.
    """
    if seed in LONG:
        return full
    return max(short, full / 3) if seed else short


def store(seed: int) -> str:
    """Both stores in turn, for rows that are about neither."""
    if seed % 2 and has_postgres():
        return "postgres"
    return "sqlite"


def has_postgres() -> bool:
    """Whether this machine can start one of its own, with its Redis."""
    try:
        need_postgres()
    except pytest.skip.Exception:
        return False
    return True


def need_postgres() -> None:
    """Skip where there is none of its own to be had."""
    if programs() is None or shutil.which("redis-server") is None:
        pytest.skip("needs the programs of PostgreSQL and Redis")
    if not os.geteuid() and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv: PostgreSQL does not run as root")
