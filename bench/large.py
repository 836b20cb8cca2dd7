"""Large messages: how fast they come in, and the memory they take meanwhile."""

from __future__ import annotations

import time

from bench.dialogue import Dialogue, message
from bench.figures import spread, table
from bench.processes import Peak, listeners
from tests.stack import Stack, start_stack

LIST = "large@lists.localhost"
MEGABYTE = 1_000_000
SIZES = (2, 20)
COMMANDS = ("DATA", "BDAT")
TIMES = 3
# What one BDAT brings; Exim and Postfix send about so much.
CHUNK = MEGABYTE
HEADS = ("message", "by", "MB/s", "memory at the peak over idle, MiB")


def figures(runs: int, scale: float) -> list[str]:
    """A row for each size and each way to bring it."""
    rows = []
    with start_stack(parts=("broker", "smtpd")) as stack:
        room = f"max_size={2 * max(SIZES) * MEGABYTE}"
        stack.manage("addlist", LIST, "--set", "posters=anyone", "--set", room)
        for size in SIZES:
            for command in COMMANDS:
                peak = _fresh(stack)
                rates = [
                    size / _bring(stack.smtp_port, command, size * MEGABYTE)
                    for _ in range(max(1, int(TIMES * runs * scale)))
                ]
                shown = (spread(rates), f"{peak.grown:.1f}")
                rows.append([f"{size} MB", command, *shown])
    return table(HEADS, rows)


def _fresh(stack: Stack) -> Peak:
    """A listener that has worked, but with nothing large so far."""
    stack.restart("smtpd")
    stack.wait_ready("smtpd")
    for _ in range(20):
        _bring(stack.smtp_port, "DATA", 10_000)
    (pid,) = listeners(stack)
    return Peak(pid)


def _bring(port: int, command: str, size: int) -> float:
    """Seconds from the first octet of the content to the 250."""
    raw = message(LIST, str(time.monotonic_ns()), size)
    with Dialogue(port) as client:
        client.open(LIST)
        if command == "DATA":
            client.say("DATA", expect=b"3")
            return client.send(raw + b".\r\n")
        return sum(
            client.send(b"BDAT %d%s\r\n" % (len(raw[at : at + CHUNK]), last) + piece)
            for at, last, piece in _chunks(raw)
        )


def _chunks(raw: bytes) -> list[tuple[int, bytes, bytes]]:
    return [
        (at, b" LAST" if at + CHUNK >= len(raw) else b"", raw[at : at + CHUNK])
        for at in range(0, len(raw), CHUNK)
    ]
