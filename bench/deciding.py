"""Deciding: how long a sender waits for the reply to RCPT."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from bench.dialogue import SENDER, Dialogue
from bench.figures import percentile, table
from bench.filling import name
from tests.stack import ROOT, Stack, start_stack

ALIASES = (100, 10_000, 100_000)
ASKED = 1000
# A session that asks for more addresses that do not exist is made to wait.
A_SESSION = 15
WARM = 100
DOMAIN = "lists.localhost"
HEADS = ("RCPT to", "aliases here", "median, ms", "95th percentile, ms")


def figures(runs: int, scale: float) -> list[str]:
    """A row for each kind of address and each size of the site."""
    rows: list[list[str]] = []
    asked = max(60, int(ASKED * runs * scale))
    chosen = random.Random(1)
    with start_stack(parts=("broker", "smtpd")) as stack:
        for count in ALIASES:
            _fill(stack, count)
            kinds: dict[str, tuple[bytes, Callable[[], str]]] = {
                "an alias": (b"2", partial(_alias, chosen, count)),
                "a list": (b"2", lambda: f"talk+{chosen.random()}"),
                "nobody": (b"550", lambda: f"x{chosen.random()}"),
            }
            for kind, (expect, address) in kinds.items():
                _waits(stack.smtp_port, WARM, expect, address)
                waits = _waits(stack.smtp_port, asked, expect, address)
                rows.append(_row(kind, count, waits))
    return table(HEADS, rows)


def _alias(chosen: random.Random, count: int) -> str:
    return name(chosen.randrange(count))


def _fill(stack: Stack, count: int) -> None:
    argv = (sys.executable, "-m", "bench.filling", str(count))
    subprocess.run(argv, cwd=ROOT, env=stack.env, check=True)
    # As the server itself does in time.
    stack.execute("ANALYZE")


def _waits(
    port: int, count: int, expect: bytes, address: Callable[[], str]
) -> list[float]:
    waits: list[float] = []
    while len(waits) < count:
        with Dialogue(port) as client:
            client.say(f"MAIL FROM:<{SENDER}>")
            for _ in range(A_SESSION):
                line = f"RCPT TO:<{address()}@{DOMAIN}>"
                waits.append(client.say(line, expect=expect))
    return waits


def _row(kind: str, count: int, waits: list[float]) -> list[str]:
    middle, most = statistics.median(waits), percentile(waits, 0.95)
    return [kind, f"{count:,}", f"{middle * 1000:.2f}", f"{most * 1000:.2f}"]
