"""Acceptance: messages a second that are stored when their 250 is given.

Postfix's smtp-source brings them, each over a connection of its own, to a list
with one member. Beside it, turn by turn, a stock aiosmtpd that stores nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from bench import bare
from bench.counting import CountingSink
from bench.figures import spread, table
from bench.processes import cpu_seconds, listeners
from tests.stack import Stack, start_stack

LIST = "one@lists.localhost"
SESSIONS = (1, 10, 50)
PROCESSES = (1, 2)
OCTETS = 3072
MESSAGES = 3000
# smtp-source of Debian's package postfix is not on everybody's PATH.
SOURCE = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
ACCEPTING = ("broker", "smtpd")
EVERYTHING = (*ACCEPTING, "worker")
YARDSTICK = "aiosmtpd that stores nothing"
HEADS = ("server", "sessions", "messages/s", "to the yardstick", "CPU ms a message")
STORED = "SELECT count(*) FROM smtpd_message WHERE source = 'smtp'"


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of smtp-source."""

    rate: float
    # To the yardstick in the turn beside it.
    ratio: float = 1.0
    # Of our listeners, a message.
    cpu_ms: float = 0.0


def figures(runs: int, scale: float) -> list[str]:
    """A row for the yardstick and for each way we run, by number of sessions."""
    count = max(100, int(MESSAGES * scale))
    found: dict[tuple[str, int], list[Figures]] = defaultdict(list)
    sink = CountingSink()
    with bare.running() as port:
        for _ in range(runs):
            for name, stack in _sites(sink):
                for sessions in SESSIONS:
                    limit = count / _seconds(port, sessions, count)
                    found[YARDSTICK, sessions].append(Figures(limit))
                    found[name, sessions].append(
                        _measure(stack, sessions, count, limit)
                    )
    sink.close()
    return table(HEADS, [_row(*key, got) for key, got in sorted(found.items())])


def _sites(sink: CountingSink) -> Iterator[tuple[str, Stack]]:
    """Each way we run, one after the other."""
    for processes in PROCESSES:
        for parts, what in ((ACCEPTING, "no worker"), (EVERYTHING, "everything")):
            noun = "process" if processes == 1 else "processes"
            with _site(sink, processes, parts) as stack:
                yield f"Folkmoot, {processes} {noun}, {what}", stack


@contextlib.contextmanager
def _site(
    sink: CountingSink, processes: int, parts: tuple[str, ...]
) -> Iterator[Stack]:
    env = {"RELAY_TLS": "none", "SMTP_PROCESSES": str(processes)}
    with start_stack(relay=f"127.0.0.1:{sink.port}", parts=parts, env=env) as stack:
        stack.manage("addlist", LIST, "--set", "posters=anyone")
        stack.manage("addmembers", LIST, "-", stdin="sam@example.org")
        stack.execute("ANALYZE")
        # Each thread has its connection then, and each statement its words.
        _seconds(stack.smtp_port, 10, 200)
        yield stack


def _measure(stack: Stack, sessions: int, count: int, limit: float) -> Figures:
    pids = listeners(stack)
    before, used = stack.count(STORED), cpu_seconds(pids)
    rate = count / _seconds(stack.smtp_port, sessions, count)
    cpu = (cpu_seconds(pids) - used) / count
    stored = stack.count(STORED) - before
    assert stored == count, f"{count} were answered 250, {stored} are stored"
    return Figures(rate, rate / limit, cpu * 1000)


def _seconds(port: int, sessions: int, count: int) -> float:
    """Bring so many; smtp-source fails when one of them is not taken."""
    size = ("-s", str(sessions), "-m", str(count), "-l", str(OCTETS))
    envelope = ("-f", "olga@example.org", "-t", LIST)
    began = time.perf_counter()
    subprocess.run([SOURCE, *size, *envelope, f"127.0.0.1:{port}"], check=True)
    return time.perf_counter() - began


def _row(name: str, sessions: int, found: list[Figures]) -> list[str]:
    is_ours = name != YARDSTICK
    return [
        name,
        str(sessions),
        spread([f.rate for f in found]),
        spread([f.ratio for f in found], "{:.2f}") if is_ours else "1",
        spread([f.cpu_ms for f in found], "{:.2f}") if is_ours else "",
    ]
