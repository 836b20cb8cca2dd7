"""A siege: how long honest mail takes beside a crowd that means harm.

The honest client brings one message after the other to a list, each over a
connection of its own; the crowd is a process of its own beside it.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.crowd import LIST, crowd
from bench.dialogue import Dialogue, message
from bench.figures import table
from bench.processes import Peak, listeners
from tests.stack import Stack, start_stack

OCTETS = 3072
SECONDS = 20.0
# Of honest mail, between two messages.
REST = 0.05
# The listener's limit is 1,000, and one of them is honest.
CROWDS = (("nobody", 0), ("idle", 999), ("slow", 300), ("endless", 100), ("large", 100))
WORDS = {
    "nobody": "nobody else",
    "idle": "idle clients",
    "slow": "clients, an octet a second",
    "endless": "endless lines",
    "large": "messages of 25 MB at once",
}
LARGE = 1_000_000
STORED = "SELECT count(*) FROM smtpd_message WHERE size > %s"
HEADS = (
    "beside",
    "messages",
    "reply, median ms",
    "reply, worst ms",
    "message, worst ms",
    "memory at the peak over idle, MiB",
    "KiB a client",
    "large stored",
)


@dataclass(slots=True)
class Figures:
    """What the honest client saw."""

    # Seconds: of each reply, and of each whole message.
    replies: list[float] = field(default_factory=list)
    messages: list[float] = field(default_factory=list)


def figures(runs: int, scale: float) -> list[str]:
    """A row for each crowd; the time they stay is the same for all."""
    seconds = SECONDS * runs * scale
    rows = []
    for kind, count in CROWDS:
        # No listener inherits the memory that another crowd left behind.
        with _site() as stack:
            (pid,) = listeners(stack)
            peak = Peak(pid)
            beside = crowd(kind, count, stack.smtp_port) if count else _nobody()
            with beside:
                found = _honest(stack.smtp_port, seconds)
            grown = peak.grown
            large = stack.count(STORED, LARGE)
        shown = f"{count:,} {WORDS[kind]}" if count else WORDS[kind]
        each = f"{grown * 1024 / count:.0f}" if count else ""
        memory = (f"{grown:.0f}", each)
        rows.append([shown, *_times(found), *memory, str(large) if large else ""])
    return table(HEADS, rows)


@contextlib.contextmanager
def _site() -> Iterator[Stack]:
    with start_stack(parts=("broker", "smtpd")) as stack:
        room = "max_size=30000000"
        stack.manage("addlist", LIST, "--set", "posters=anyone", "--set", room)
        _honest(stack.smtp_port, 1)
        yield stack


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    yield


def _honest(port: int, seconds: float) -> Figures:
    found = Figures()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _bring(port, found)
        time.sleep(REST)
    return found


def _bring(port: int, found: Figures) -> None:
    raw = message(LIST, str(time.monotonic_ns()), OCTETS)
    began = time.perf_counter()
    with Dialogue(port) as client:
        client.post(LIST, raw)
        found.messages.append(time.perf_counter() - began)
        found.replies += client.waits


def _times(found: Figures) -> list[str]:
    return [
        f"{len(found.messages):,}",
        f"{statistics.median(found.replies) * 1000:.1f}",
        f"{max(found.replies) * 1000:.0f}",
        f"{max(found.messages) * 1000:.0f}",
    ]
