"""The sink as a process that only counts, and the body that it is sent."""

from __future__ import annotations

import subprocess
import sys

BODY = (b"All work and no play makes Jack a dull boy, says the proverb.\r\n" * 50)[
    :3072
]


class CountingSink:
    """tests.sink as a process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def count(self) -> tuple[int, float, float]:
        """Copies so far, and when the first and the last came."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        count, first, last = self._read().split()
        return int(count), float(first), float(last)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(5)
