"""What a million copies cost: measure one, reckon the rest."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import redis

from bench.costing import Hardware, Measured, limits, per_million, volumes
from bench.figures import table
from bench.machine import description
from bench.posting import Figures
from bench.rows import COPIES, USUAL, crowd
from bench.sites import Site, site
from tests.stack import Stack

KEPT = Path(__file__).parent / "measured.json"
SIZE = (
    "SELECT sum(pg_total_relation_size(relid))::bigint, sum(n_tup_ins + n_tup_upd)"
    " FROM pg_stat_user_tables"
)
# Seconds; each quarter of a minute, as a site has it.
RENEWED = 20.0
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
OPEN = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()"
)
DAILY = (
    *("copies a day", "a second, busiest hour", "worker cores", "PostgreSQL cores"),
    *("connections", "WAL MB/s", "ledger, 30 days, GB", "sent Mbit/s"),
)


def figures(
    runs: int, scale: float, *, kept: bool = False, keeps: bool = False
) -> list[str]:
    """The tables, from a new measurement or from the one that was kept."""
    it = Measured(**json.loads(KEPT.read_text())) if kept else measure(scale)
    if keeps:
        KEPT.write_text(json.dumps(asdict(it), indent=2) + "\n")
    has = Hardware()
    lines = [f"Measured with {it.copies:,} copies on {it.machine}.", ""]
    lines += table(("of a million copies", "measured"), map(list, per_million(it)))
    for name, signed in (("unsigned", False), ("signed, RSA-2048", True)):
        shown = [
            [one.what, f"{one.rate:,.0f}", f"{one.rate * 3600 / 1e6:,.1f}", one.then]
            for one in limits(it, has, signed=signed)
        ]
        heads = (f"used up first, {name}", "at copies/s", "M an hour", "then add")
        lines += ["", *table(heads, shown)]
    return [*lines, "", *table(DAILY, volumes(it, has))]


def measure(scale: float) -> Measured:
    """A post to warm up, one to measure, one more that is signed."""
    with site(USUAL) as here:
        crowd(COPIES)(here, scale)
        before, begun = _sizes(here.stack), _commands(here.stack)
        plain = crowd(COPIES)(here, scale)
        after, ended = _sizes(here.stack), _commands(here.stack)
        signed = crowd(COPIES, "rsa")(here, scale)
        connections = _connections(here, scale)
        most = int(here.stack.rows("SHOW max_connections")[0][0])
    wal, stored, rows = (
        (late - early) / plain.copies for early, late in zip(before, after, strict=True)
    )
    return Measured(
        machine=description(),
        copies=plain.copies,
        worker_ms=plain.cpu["worker"],
        signing_ms=max(0.0, _signing(plain, signed)),
        listener_ms=plain.cpu["smtpd"],
        postgres_ms=plain.cpu["postgres"],
        redis_ms=plain.cpu["redis"],
        wal=wal,
        stored=stored,
        sent=plain.octets,
        rows=rows,
        transactions=plain.statements,
        commands=(ended - begun) / plain.copies,
        connections=connections,
        max_connections=most,
    )


@contextlib.contextmanager
def _hanging(pids: Iterable[int]) -> Iterator[None]:
    """The next server says nothing for so long that leases are renewed."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(RENEWED, _wake, [pids])
    timer.start()
    try:
        yield
    finally:
        timer.join()


def _wake(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _signing(plain: Figures, signed: Figures) -> float:
    return signed.cpu["worker"] - plain.cpu["worker"]


def _sizes(stack: Stack) -> tuple[int, int, int]:
    """WAL so far, of the whole server; tables and their indexes; rows written."""
    size, rows = stack.rows(SIZE)[0]
    return stack.count(WAL), int(size), int(rows)


def _commands(stack: Stack) -> int:
    """What Redis was asked so far, by everybody."""
    with contextlib.closing(redis.Redis.from_url(stack.env["BROKER_URL"])) as client:
        return int(client.info("stats")["total_commands_processed"])


def _connections(here: Site, scale: float) -> float:
    """To the database, of one worker process: all but the listener's.

    Leases are renewed over one of their own, which a short post does not open.
    """
    with _hanging(here.sinks.pids):
        crowd(COPIES)(here, scale)
    everybody = here.stack.count(OPEN)
    here.stack.kill("smtpd")
    worker = here.stack.count(OPEN)
    here.stack.start("smtpd")
    here.stack.wait_ready("smtpd")
    return max(1, min(worker, everybody)) / here.setting.workers
