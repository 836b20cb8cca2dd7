"""Clients that are a burden, in a process of their own.

    python -m bench.crowd KIND COUNT PORT

prints a line once all are there and goes on until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator

from bench.dialogue import LINE, SENDER, message

LIST = "siege@lists.localhost"
# Just under what the listener takes, and what Python writes at once.
LARGE = 25_000_000
PIECE = 65_536
OPEN = (
    f"EHLO bench.test\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{LIST}>\r\nDATA\r\n"
).encode()

Client = Callable[[StreamReader, StreamWriter, int], Awaitable[None]]


async def idle(reader: StreamReader, writer: StreamWriter, number: int) -> None:
    """Say hello and nothing more."""
    writer.write(b"EHLO bench.test\r\n")
    await _forever(reader)


async def slow(reader: StreamReader, writer: StreamWriter, number: int) -> None:
    """One octet a second: every other one in a command, the others in a message."""
    if number % 2:
        await _open(reader, writer)
    for octet in itertools.cycle(LINE.replace(b"\r\n", b" ")):
        writer.write(bytes((octet,)))
        await writer.drain()
        await asyncio.sleep(1)


async def endless(reader: StreamReader, writer: StreamWriter, number: int) -> None:
    """A line without an end: every other one in a command, the others in a message."""
    if number % 2:
        await _open(reader, writer)
    while True:
        writer.write(b"x" * PIECE)
        await writer.drain()


async def large(reader: StreamReader, writer: StreamWriter, number: int) -> None:
    """A message of nearly the greatest size, then the next one."""
    await _open(reader, writer)
    raw = message(LIST, f"{number}-{id(writer)}", LARGE) + b".\r\n"
    for at in range(0, len(raw), PIECE):
        writer.write(raw[at : at + PIECE])
        await writer.drain()
    await reader.readline()


async def _open(reader: StreamReader, writer: StreamWriter) -> None:
    """As far as 354."""
    writer.write(OPEN)
    while not (await _line(reader)).startswith(b"354"):
        pass


async def _line(reader: StreamReader) -> bytes:
    line = await reader.readline()
    if not line or line.startswith((b"4", b"5")):
        raise ConnectionError(line)
    return line


async def _forever(reader: StreamReader) -> None:
    while await reader.read(PIECE):
        pass


KINDS: dict[str, Client] = {
    "idle": idle,
    "slow": slow,
    "endless": endless,
    "large": large,
}


async def _again_and_again(client: Client, port: int, number: int) -> None:
    """Who is turned away comes back, as who wants to do harm does."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.readline()
                await client(reader, writer, number)
            finally:
                writer.close()
        await asyncio.sleep(0.2)


async def _gather(client: Client, count: int, port: int) -> None:
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(_again_and_again(client, port, number)))
        await asyncio.sleep(0.001)
    await asyncio.sleep(1)
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)


@contextlib.contextmanager
def crowd(kind: str, count: int, port: int) -> Iterator[None]:
    """So many of a kind, until the block ends."""
    argv = [sys.executable, "-m", "bench.crowd", kind, str(count), str(port)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_gather(KINDS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])))
