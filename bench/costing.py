"""What mail costs, from what a copy was measured to cost: pure arithmetic.

A thousand copies a second take so many cores, so much disk, so many connections;
what is used up first at which rate, and what an operator adds then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MILLION = 1_000_000
GB = 1e9
DAY = 86_400
# Of a day's mail, what the busiest hour brings.
BUSY_HOUR = 0.2
VOLUMES = (100_000, MILLION, 10 * MILLION, 100 * MILLION)


@dataclass(frozen=True, slots=True)
class Measured:
    """A copy, as it was measured on the machine that `machine` describes."""

    machine: str
    copies: int
    # Milliseconds of a processor by kind; signing is what RSA-2048 adds.
    worker_ms: float
    signing_ms: float
    listener_ms: float
    postgres_ms: float
    redis_ms: float
    # Octets: of WAL, of tables and indexes that stay, and sent to the next server.
    wal: float
    stored: float
    sent: float
    # Rows written (each insert and each update), transactions, commands of Redis.
    rows: float
    transactions: float
    commands: float
    # To the database, of one worker process.
    connections: float
    max_connections: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is not measured but assumed; say so wherever it is shown."""

    worker_cores: int = 2
    database_cores: int = 2
    # Octets a second that a disk writes for hours, and its flushes a second.
    disk: float = 100e6
    flushes: float = 1000
    # Octets a second of the network, and of a disk for the database.
    network: float = 125e6
    room: float = 100e9
    redis_commands: float = 50_000
    keep_days: int = 30


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that is used up."""

    what: str
    # Copies a second at which there is no more of it.
    rate: float
    then: str


def limits(it: Measured, has: Hardware, *, signed: bool) -> list[Limit]:
    """What breaks first comes first."""
    worker = it.worker_ms + (it.signing_ms if signed else 0)
    # One process runs Python on one core; each has its connections.
    processes = it.max_connections / it.connections
    all_of_it = worker + it.postgres_ms + it.listener_ms + it.redis_ms
    found = [
        Limit(
            f"one machine for everything ({has.worker_cores} cores)",
            has.worker_cores * 1000 / all_of_it,
            "a machine for PostgreSQL, or one for the workers",
        ),
        Limit(
            f"processors of the workers ({has.worker_cores} cores)",
            has.worker_cores * 1000 / worker,
            "a machine with `python -m project.worker`, WORKERS = its cores",
        ),
        Limit(
            f"processors of PostgreSQL ({has.database_cores} cores)",
            has.database_cores * 1000 / it.postgres_ms,
            "cores, then PostgreSQL on a machine of its own",
        ),
        Limit(
            f"flushes of PostgreSQL ({has.flushes:,.0f}/s)",
            has.flushes / it.transactions,
            "a disk with a protected cache; commits of workers share a flush",
        ),
        Limit(
            f"write rate of its disk ({has.disk / 1e6:,.0f} MB/s)",
            has.disk / (it.wal + it.stored),
            "a disk of its own for WAL, wal_compression, a longer max_wal_size",
        ),
        Limit(
            f"connections ({it.max_connections}, {it.connections:.0f} a process)",
            processes * 1000 / worker,
            "max_connections (about 10 MB each), or a pooler in session mode",
        ),
        Limit(
            f"room ({has.room / GB:,.0f} GB, {has.keep_days} days kept; all day long)",
            has.room / it.stored / has.keep_days / DAY,
            "disk, or a smaller KEEP_DAYS",
        ),
        Limit(
            f"network ({has.network * 8 / 1e9:,.0f} Gbit/s)",
            has.network / it.sent,
            "a second machine with workers has a line of its own",
        ),
        Limit(
            f"Redis ({has.redis_commands:,.0f} commands/s)",
            has.redis_commands / it.commands if it.commands else float("inf"),
            "nothing: tasks are nudges, their number follows posts, not copies",
        ),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def per_million(it: Measured) -> Iterator[tuple[str, str]]:
    """Of a million copies, line by line."""
    seconds = {
        "workers, unsigned": it.worker_ms,
        "workers, RSA-2048": it.worker_ms + it.signing_ms,
        "listener (one post)": it.listener_ms,
        "PostgreSQL": it.postgres_ms,
        "Redis": it.redis_ms,
    }
    for who, cost in seconds.items():
        yield f"core seconds of {who}", f"{cost * MILLION / 1000:,.0f}"
    yield "rows written (inserts and updates)", f"{it.rows * MILLION:,.0f}"
    yield "transactions", f"{it.transactions * MILLION:,.0f}"
    yield "WAL, GB", f"{it.wal * MILLION / GB:.2f}"
    yield "tables and indexes until pruned, GB", f"{it.stored * MILLION / GB:.2f}"
    yield "sent to other servers, GB", f"{it.sent * MILLION / GB:.2f}"
    yield "commands of Redis", f"{it.commands * MILLION:,.0f}"


def volumes(it: Measured, has: Hardware) -> Iterator[list[str]]:
    """What a day's mail needs, signed with RSA-2048, by its busiest hour."""
    worker = it.worker_ms + it.signing_ms
    for copies in VOLUMES:
        rate = copies * BUSY_HOUR / 3600
        # Half idle, so that a burst has somewhere to go.
        cores = 2 * rate * worker / 1000
        processes = max(1, -(-int(cores * 100) // 100))
        yield [
            f"{copies:,}",
            f"{rate:,.0f}",
            f"{cores:.1f}",
            f"{2 * rate * it.postgres_ms / 1000:.1f}",
            f"{processes * it.connections:.0f}",
            f"{rate * it.wal / 1e6:.1f}",
            f"{copies * it.stored * has.keep_days / GB:,.0f}",
            f"{rate * it.sent * 8 / 1e6:,.0f}",
        ]
