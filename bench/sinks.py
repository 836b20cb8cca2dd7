"""The sink's processes, and what they have counted."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.sink import (
    COPIES,
    FIRST,
    HEADING,
    LAST,
    MESSAGES,
    OCTETS,
    POSTS,
    REFUSED,
    SLOT,
    WIDTH,
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Since it was told to forget; times of the monotonic clock, 0 is none."""

    messages: int
    copies: int
    refused: int
    octets: int
    first: float
    last: float


class Sinks:
    """Some processes on one port; a context manager."""

    def __init__(
        self,
        processes: int = 1,
        *,
        host: str = "127.0.0.1",
        told: Sequence[str] = (),
    ) -> None:
        # Bound, not listening: the port is ours and nobody lands here.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind((host, 0))
        self.port: int = self._place.getsockname()[1]
        file, path = tempfile.mkstemp(prefix="moot-sink-")
        self._path = Path(path)
        os.truncate(file, processes * SLOT * WIDTH)
        self._counts = memoryview(mmap.mmap(file, 0)).cast("d")
        os.close(file)
        self._processes = [self._start(slot, told) for slot in range(processes)]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", "the sink did not start"

    def _start(self, slot: int, told: Sequence[str]) -> subprocess.Popen[bytes]:
        what = ("-m", "bench.sink", str(self.port), str(self._path))
        return subprocess.Popen(
            [sys.executable, *what, "--slot", str(slot), *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def forget(self) -> None:
        """Begin to count again; for when nothing is under way."""
        self._counts[:] = memoryview(bytes(len(self._counts) * WIDTH)).cast("d")

    def counts(self) -> Counts:
        """Of all processes together."""
        return Counts(
            int(self._sum(MESSAGES)),
            int(self._sum(COPIES)),
            int(self._sum(REFUSED)),
            int(self._sum(OCTETS)),
            min((first for first in self._all(FIRST) if first), default=0.0),
            max(self._all(LAST)),
        )

    def post(self, number: int) -> tuple[int, float, float]:
        """Copies of one post so far, and when the first and the last came."""
        at = HEADING + 3 * (number % POSTS)
        first = min((found for found in self._all(at + 1) if found), default=0.0)
        return int(self._sum(at)), first, max(self._all(at + 2))

    def _all(self, at: int) -> list[float]:
        return [self._counts[n * SLOT + at] for n in range(len(self._processes))]

    def _sum(self, at: int) -> float:
        return sum(self._all(at))

    def close(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
        for process in self._processes:
            process.terminate()
            process.wait(10)
        self._place.close()
        self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
