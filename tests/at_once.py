"""Many people at the same time, each on a database connection of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

THREADS = 6
T = TypeVar("T")


def at_once(verb: Callable[[int], T]) -> list[T]:
    """Call a verb with the number of each thread; they start together."""
    start = threading.Barrier(THREADS)

    def run(number: int) -> T:
        try:
            start.wait(timeout=10)
            return verb(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))
