"""Posts go in over SMTP, and what comes of them is measured."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, repeat

from bench.dialogue import Dialogue
from bench.letters import OCTETS, letter
from bench.processes import forget, peak
from bench.sites import Site
from bench.usage import Usage, family
from tests.stack import ROOT, wait_until

TRANSACTIONS = (
    "SELECT xact_commit + xact_rollback FROM pg_stat_database"
    " WHERE datname = current_database()"
)
# EXISTS stops at the first one, by the index of what is due.
UNDONE = "SELECT EXISTS (SELECT 1 FROM smtpd_delivery WHERE state = 'queued')"
PATIENCE = 1200.0
# A connection that said its statistics within a second before it went idle says the
# rest of them after ten.
LATE = 10.5
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Figures:
    """What some posts gave."""

    posts: int
    copies: int
    # Seconds to the last copy: of one post from its 250, of several from the first
    # MAIL.
    seconds: float
    # Seconds from the 250 to the first copy.
    first: float
    # Milliseconds of the processor a copy, by kind.
    cpu: dict[str, float]
    # Transactions of the database a copy; 0 is unknown.
    statements: float
    # MiB of a worker process at its peak.
    memory: float
    octets: float

    @property
    def rate(self) -> float:
        """Copies a second."""
        return self.copies / self.seconds


def measure(
    site: Site,
    addresses: Sequence[str],
    copies: int,
    *,
    sizes: Sequence[int] = (),
    sessions: int = 1,
) -> Figures:
    """Post once to each of these, which makes so many copies together."""
    letters = [
        (address, letter(address, 0, size, salt=next(_numbers)))
        for address, size in zip(addresses, sizes or repeat(OCTETS), strict=False)
    ]
    with _Watch(site, copies) as watch:
        began, accepted = _bring(site.stack.smtp_port, letters, sessions)
    return watch.figures(len(letters), began, accepted)


def measure_shared(site: Site, address: str, copies: int) -> Figures:
    """Queue one message for a list's members, the same copy for all."""
    with _Watch(site, copies) as watch:
        told = subprocess.run(
            [sys.executable, "-m", "bench.queueing", address],
            cwd=ROOT,
            env=site.stack.env,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        accepted = float(told.stdout)
    return watch.figures(1, accepted, accepted)


class _Watch:
    """Looks before, waits for the copies and their records, looks again."""

    def __init__(self, site: Site, copies: int) -> None:
        self._site, self._copies = site, copies
        self._has_statistics = site.setting.database == "PostgreSQL"

    def __enter__(self) -> _Watch:
        site = self._site
        self._workers = family(site.stack, "worker")
        for pid in self._workers:
            forget(pid)
        site.sinks.forget()
        self._before = self._transactions()
        self._usage = Usage(site.stack, site.sinks)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        stack, sinks = self._site.stack, self._site.sinks
        wait_until(self._is_over, PATIENCE, "copies")
        wait_until(lambda: not stack.count(UNDONE), 30, "records")
        self._cpu = self._usage.seconds()
        self._memory = max(map(peak, self._workers))
        self._counts = sinks.counts()
        if self._has_statistics:
            time.sleep(LATE)

    def _is_over(self) -> bool:
        """Fail at once when something was refused: there would be no end."""
        counts = self._site.sinks.counts()
        assert not counts.refused, f"{counts.refused} were refused"
        return counts.copies >= self._copies

    def _transactions(self) -> int:
        return self._site.stack.count(TRANSACTIONS) if self._has_statistics else 0

    def figures(self, posts: int, began: float, accepted: float) -> Figures:
        counts, copies = self._counts, self._copies
        assert counts.copies == copies, f"{counts.copies} copies instead of {copies}"
        statements = self._transactions() - self._before
        return Figures(
            posts,
            copies,
            counts.last - (accepted if posts == 1 else began),
            counts.first - accepted,
            {kind: used * 1000 / copies for kind, used in self._cpu.items()},
            statements / copies,
            self._memory,
            counts.octets / copies,
        )


def _bring(
    port: int, letters: Sequence[tuple[str, bytes]], sessions: int
) -> tuple[float, float]:
    """Over so many connections at once; when the first MAIL and the last 250 was."""
    shares = [letters[n::sessions] for n in range(min(sessions, len(letters)))]
    if len(shares) == 1:
        return _session(port, shares[0])
    with ThreadPoolExecutor(len(shares)) as pool:
        times = list(pool.map(_session, [port] * len(shares), shares))
    return min(began for began, _ in times), max(ended for _, ended in times)


def _session(port: int, letters: Sequence[tuple[str, bytes]]) -> tuple[float, float]:
    with Dialogue(port) as client:
        began = time.monotonic()
        for address, raw in letters:
            client.post(address, raw)
        return began, time.monotonic()
