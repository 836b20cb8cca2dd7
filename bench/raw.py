"""The yardstick of fan-out: a pipelined client that keeps no records.

    python -m bench.raw PORT CONNECTIONS MESSAGES [RECIPIENTS]

brings the same message again and again, as fast as the sink takes it, and prints
the seconds it took.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from functools import partial

from bench.letters import letter


class Client(asyncio.Protocol):
    """One connection; `left` is what all of them still have to bring."""

    left = 0
    envelope = content = b""

    def __init__(self, done: asyncio.Future[None]) -> None:
        self._done = done
        self._begun = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"EHLO bench.test\r\n")

    def data_received(self, data: bytes) -> None:
        tail = (self._tail + data)[-64:]
        self._tail = tail
        if not self._begun:
            if b"250 " in tail and tail.endswith(b"\r\n"):
                self._begun = True
                self._next(b"")
        elif tail.endswith(b"354 go\r\n"):
            self._next(Client.content)

    def _next(self, content: bytes) -> None:
        self._tail = b""
        if Client.left > 0:
            Client.left -= 1
            self._transport.write(content + Client.envelope)
        else:
            self._transport.write(content + b"QUIT\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def _run(port: int, connections: int) -> None:
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(partial(Client, end), "127.0.0.1", port)
    await asyncio.gather(*ends)


def rate(port: int, connections: int, messages: int, recipients: int = 1) -> float:
    """Copies a second of a client in a process of its own."""
    numbers = map(str, (port, connections, messages, recipients))
    told = subprocess.run(
        [sys.executable, "-m", "bench.raw", *numbers],
        capture_output=True,
        text=True,
        check=True,
    )
    return messages * recipients / float(told.stdout)


def main() -> None:
    port, connections, Client.left, recipients = map(int, sys.argv[1:])
    rcpt = b"".join(b"RCPT TO:<m%d@crowd.test>\r\n" % n for n in range(recipients))
    Client.envelope = b"MAIL FROM:<bounces+x@lists.localhost>\r\n" + rcpt + b"DATA\r\n"
    Client.content = letter("crowd@lists.localhost", 0) + b".\r\n"
    began = time.perf_counter()
    asyncio.run(_run(port, connections))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
