"""Who used the processor: listener, worker, PostgreSQL, sink."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.processes import held
from bench.sinks import Sinks
from tests.stack import Stack

TICKS = os.sysconf("SC_CLK_TCK")
POSTMASTER = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int"
KINDS = ("smtpd", "worker", "postgres", "redis", "sink")


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc/PID/stat says; seconds with those of children that ended."""

    pid: int
    parent: int
    session: int
    seconds: float


def processes() -> list[Process]:
    """All of this machine."""
    return list(_processes())


def _processes() -> Iterator[Process]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            # proc(5): utime, stime, cutime, cstime.
            seconds = sum(map(int, fields[11:15])) / TICKS
            yield Process(
                int(path.parent.name), int(fields[1]), int(fields[3]), seconds
            )


class Usage:
    """Processor seconds of a site and what serves it, by kind.

    PostgreSQL and Redis count if they run on this machine, with whatever else they
    do: measure on a machine that does nothing else.
    """

    def __init__(self, stack: Stack, sinks: Sinks) -> None:
        self._sessions = {
            process.pid: name.split("-")[0] for name, process in stack.processes.items()
        }
        self._sinks = set(sinks.pids)
        self._servers = dict.fromkeys([_postmaster(stack)], "postgres")
        self._servers |= dict.fromkeys([_redis(stack)], "redis")
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        found = dict.fromkeys(KINDS, 0.0)
        for process in processes():
            kind = self._kind(process)
            if kind in found:
                found[kind] += process.seconds
        return found

    def _kind(self, process: Process) -> str:
        if process.pid in self._sinks:
            return "sink"
        if process.session in self._sessions:
            return self._sessions[process.session]
        parent = self._servers.get(process.parent, "")
        return self._servers.get(process.pid, parent)

    def seconds(self) -> dict[str, float]:
        """By kind, since this was made."""
        now = self._now()
        return {kind: now[kind] - self._before[kind] for kind in KINDS}


def _postmaster(stack: Stack) -> int:
    """The server's first process, if it is one of this machine."""
    if not stack.env["DATABASE_URL"].startswith("postgres"):
        return -1
    pid = stack.count(POSTMASTER)
    return pid if _is_named(pid, "postgres") else -1


def _redis(stack: Stack) -> int:
    if not stack.env["BROKER_URL"].startswith("redis://"):
        return -1
    with contextlib.closing(redis.Redis.from_url(stack.env["BROKER_URL"])) as client:
        pid = int(client.info("server")["process_id"])
    return pid if _is_named(pid, "redis-server") else -1


def _is_named(pid: int, name: str) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    return False


def family(stack: Stack, name: str) -> list[int]:
    """A part's processes."""
    leader = stack.processes[name].pid
    return [process.pid for process in processes() if process.session == leader]


def at_rest(stack: Stack) -> dict[str, float]:
    """MiB of proportional set size by part."""
    return {name: sum(map(held, family(stack, name))) for name in stack.processes}
