"""What everything that ./run starts holds in memory, at rest and after a crowd."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from bench.dialogue import Dialogue
from bench.letters import letter
from bench.sinks import Sinks
from bench.sites import found
from tests.stack import wait_until
from tests.up import Up, environment, memory, name_of, running

CROWD = "crowd@lists.localhost"
COPIES = 100_000
PATIENCE = 900
# Until nobody has anything to do any more, in seconds.
REST = 15


def figures(runs: int, scale: float) -> list[str]:
    """A sentence for each; more runs change nothing."""
    copies = max(10, int(COPIES * scale))
    idle, after = measure(os.cpu_count() or 1, copies)
    return [
        f"Idle, everything ./run starts, MiB PSS: {_words(idle)}",
        "",
        f"After a post to {copies:,} recipients: {_words(after)}",
    ]


def _words(sizes: list[tuple[str, int]]) -> str:
    names = ", ".join(f"{name} {size}" for name, size in sizes)
    return f"{sum(size for _, size in sizes)} ({names})."


def measure(workers: int, copies: int) -> tuple[list[tuple[str, int]], ...]:
    """Behind one post to the demo's list, and behind one to a crowd."""
    with tempfile.TemporaryDirectory(prefix="moot-bench-") as folder, Sinks() as sinks:
        env = environment(Path(folder), workers=workers)
        env |= {"RELAY": sinks.address, "RELAY_TLS": "none"}
        port = int(env["SMTP_BIND"].rpartition(":")[2])
        with running(Path(folder), env) as up:
            wait_until(lambda: "ready." in up.said(), 60, "the worker is ready")
            _post(port, "talk@lists.localhost")
            time.sleep(REST)
            idle = _held(up)
            found({CROWD: [f"m{n}@crowd.test" for n in range(copies)]}, env)
            sinks.forget()
            _post(port, CROWD)
            wait_until(lambda: sinks.counts().copies >= copies, PATIENCE, "copies")
            time.sleep(REST)
            return idle, _held(up)


def _held(up: Up) -> list[tuple[str, int]]:
    """MiB of proportional set size, process by process."""
    pids = [up.process.pid, *up.children()]
    return [(name_of(pid), memory(pid) // 1024) for pid in pids]


def _post(port: int, address: str) -> None:
    with Dialogue(port) as client:
        client.post(address, letter(address, 0))
