"""The whole product: a post is accepted, and every subscriber's copy arrives.

Listener, workers, PostgreSQL, Redis and the sink share the machine;
the post goes in over SMTP and the clock stops at the last copy in the sink.
"""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass

from bench.counting import BODY, CountingSink
from tests.stack import Stack, start_stack, wait_until

LIST = "crowd@lists.localhost"
TRANSACTIONS = (
    "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
)
# Statements of the fan-out that stand in transactions of several; the workers'
# are one each. Counted by hand in lists/delivery/actions.py, with room.
FAN_OUT_STATEMENTS = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What one post gave, in seconds from its 250."""

    copies: int
    last_copy: float
    first_copy: float
    statements: int

    @property
    def rate(self) -> float:
        return self.copies / self.last_copy


def post(stack: Stack, address: str, name: str) -> float:
    """Send one post; return the moment of its 250, on the monotonic clock."""
    head = (
        f"From: Olga <olga@example.org>\r\nTo: {address}\r\nSubject: tea\r\n"
        f"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@bench.test>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, "bench.test") as client:
        client.sendmail("olga@example.org", [address], head.encode() + BODY + b"\r\n")
        return time.monotonic()


def measure(stack: Stack, sink: CountingSink, address: str, copies: int) -> Figures:
    """Post to a list with that many subscribers and wait for the last copy."""
    start, _, _ = sink.count()
    before = stack.count(TRANSACTIONS)
    accepted = post(stack, address, f"{address}-{time.monotonic_ns()}")
    first = 0.0
    while True:
        count, _, last = sink.count()
        if count > start and not first:
            first = time.monotonic()
        if count - start >= copies:
            break
        time.sleep(0.002 if not first else 0.05)
    # Statistics arrive a little later than what they count.
    unsent = "SELECT count(*) FROM smtpd_delivery WHERE state <> 'sent'"
    wait_until(lambda: stack.count(unsent) == 0, 30, "recorded")
    time.sleep(1.5)
    statements = stack.count(TRANSACTIONS) - before + FAN_OUT_STATEMENTS
    return Figures(copies, last - accepted, first - accepted, statements)


def run(copies: int) -> dict[str, Figures]:
    """Post unsigned and signed, to a crowd and to ten people."""
    sink = CountingSink()
    relay = f"127.0.0.1:{sink.port}"
    parts = ("broker", "smtpd", "worker")
    with start_stack(relay=relay, parts=parts, env={"RELAY_TLS": "none"}) as stack:
        for address, members in ((LIST, copies), ("ten@lists.localhost", 10)):
            people = [f"m{n}@{address.partition('@')[0]}.test" for n in range(members)]
            stack.manage("addlist", address, "--set", "posters=anyone")
            stack.manage("addmembers", address, "-", stdin="\n".join(people))
        # The planner knows nothing of tables filled a second ago.
        stack.execute("ANALYZE")
        measure(stack, sink, "ten@lists.localhost", 10)
        figures = {
            "10 people, idle site, signed": measure(
                stack, sink, "ten@lists.localhost", 10
            ),
            "signed RSA-2048": measure(stack, sink, LIST, copies),
        }
        stack.execute("UPDATE smtpd_domain SET dkim_key = ''")
        figures["unsigned"] = measure(stack, sink, LIST, copies)
    sink.close()
    return figures
