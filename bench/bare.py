"""The yardstick: a stock aiosmtpd that says yes and stores nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from aiosmtpd.controller import Controller

from tests.stack import free_port


class Nothing:
    """A handler: aiosmtpd takes every recipient, and we every message."""

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        return "250 OK"


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run it in a process of its own; its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield port
    finally:
        process.stdin.close()
        process.wait(10)


def main() -> None:
    controller = Controller(Nothing(), hostname="127.0.0.1", port=int(sys.argv[1]))
    controller.start()
    print("ready", flush=True)
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    main()
