"""What is posted: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

SEED = 20261129
OCTETS = 3072
SENDER = "olga@example.org"
LINE = b"All work and no play makes Jack a dull boy, says the proverb of old.\r\n"
_HEAD = (
    b"From: Olga <olga@example.org>\r\nTo: %s\r\nSubject: tea\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d-%d@bench.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)


def letter(address: str, number: int, size: int = OCTETS, salt: int = 0) -> bytes:
    """A text with so many octets of body; the sink reads the number (--by-post)."""
    head = _HEAD % (address.encode(), number, salt)
    body = (LINE * (size // len(LINE) + 1))[: max(2, size) - 2]
    # Not in the middle of a line's end.
    return head + body.removesuffix(b"\r") + b"\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """The lists of a site, and what is posted to them one after the other."""

    # Members by list.
    lists: dict[str, int]
    # Lists and octets.
    posts: list[tuple[str, int]]

    @property
    def copies(self) -> int:
        return sum(self.lists[address] for address, _ in self.posts)


def load(lists: int, posts: int, seed: int = SEED) -> Load:
    """Many small lists and a few large ones, short posts and a few long ones.

    Sizes follow a Pareto distribution, as those of lists do (median 8 members,
    one list in a hundred above 500), lengths a logarithmic normal one.
    """
    chosen = random.Random(seed)
    sizes = {
        f"load-{n}@lists.localhost": min(5000, int(4 * chosen.paretovariate(1)))
        for n in range(lists)
    }
    return Load(sizes, list(_posts(chosen, list(sizes), posts)))


def _posts(
    chosen: random.Random, lists: list[str], count: int
) -> Iterator[tuple[str, int]]:
    for _ in range(count):
        octets = int(chosen.lognormvariate(7.6, 1.1))
        yield chosen.choice(lists), min(1_000_000, max(100, octets))
