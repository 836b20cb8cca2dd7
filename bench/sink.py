"""The next server of the benchmark: takes mail, keeps none, costs next to nothing.

    python -m bench.sink PORT COUNTS [--latency MS] [--chance RCPT=450:0.05] ...

It looks for the ends of envelopes and messages only, and answers all that a chunk
holds in one write. Several processes share the port. Each counts in its own slot of
the file COUNTS, which `bench.sinks` reads meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import mmap
import os
import random
import re
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

# In a slot, each an IEEE 754 double: the first six are of all posts together.
MESSAGES, COPIES, REFUSED, OCTETS, FIRST, LAST = range(6)
HEADING = 8
# Then copies, first and last of each post that has a number (`bench.letters`).
POSTS = 4096
SLOT = HEADING + 3 * POSTS
WIDTH = 8

HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE\r\n"
_YES = {
    b"EHLO": HELLO,
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go\r\n",
    b"DOT": b"250 2.0.0 taken\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_ELSE = b"250 2.0.0 ok\r\n"
_NOBODY = b"554 5.5.1 no valid recipients\r\n"
_ENDING = (b"421", b"221")
_NUMBER = re.compile(rb"^message-id: <(\d+)-", re.MULTILINE | re.IGNORECASE)
_END = b"\r\n.\r\n"
_DATA = b"\r\nDATA\r\n"
# Octets of a message in which its number must stand.
_BEGIN = 4096


@dataclass
class Manners:
    """How this sink answers."""

    latency: float = 0.0
    # By verb; DOT is the end of a message. Instead of yes.
    says: dict[bytes, bytes] = field(default_factory=dict)
    # By verb: replies, each with how often of one.
    chances: dict[bytes, list[tuple[float, bytes]]] = field(default_factory=dict)
    by_post: bool = False
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    # For so many recipients: the replies to MAIL, all RCPT and DATA.
    _groups: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether an envelope is always taken."""
        return not ({b"MAIL", b"RCPT", b"DATA"} & (self.says.keys() | self.chances))

    def reply(self, verb: bytes) -> bytes:
        for chance, reply in self.chances.get(verb, ()):
            if self.dice.random() < chance:
                return reply
        return self.says.get(verb) or _YES.get(verb, _ELSE)

    def group(self, recipients: int) -> bytes:
        """What an envelope hears that is taken."""
        known = self._groups.get(recipients)
        if known is None:
            mail, data = _YES[b"MAIL"], _YES[b"DATA"]
            known = mail + _YES[b"RCPT"] * recipients + data
            self._groups[recipients] = known
        return known


class Session(asyncio.Protocol):
    """One connection."""

    manners: ClassVar[Manners] = Manners()
    counts: ClassVar[memoryview[float]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""
        self._in_content = self._is_ending = False
        # Of this message: asked for, and how many of them were taken.
        self._taken = 0
        self._begin = b""
        # How much of what is kept stands in it already.
        self._seen = 0
        self._is_plain = self.manners.is_plain
        self._later = asyncio.get_running_loop().call_later
        self._write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.counts[OCTETS] += len(data)
        if self._rest:
            data = self._rest + data
        replies: list[bytes] = []
        at = 0
        while not self._is_ending:
            behind = (self._content if self._in_content else self._commands)(
                data, at, replies
            )
            if behind < 0:
                break
            at = behind
        if replies:
            self._write(b"".join(replies))

    def _content(self, data: bytes, at: int, replies: list[bytes]) -> int:
        """To the end of the message: where it is, or -1 and all but a rest is gone."""
        if self.manners.by_post and len(self._begin) < _BEGIN:
            self._begin += data[at + self._seen : at + _BEGIN]
        end = data.find(_END, at)
        if end < 0:
            self._rest = data[max(at, len(data) - 4) :]
            self._seen = len(self._rest)
            return -1
        self._seen = 0
        reply = self._dot(replies)
        self._in_content = False
        self._is_ending = reply.startswith(_ENDING)
        return end + 5

    def _dot(self, replies: list[bytes]) -> bytes:
        reply = self.manners.reply(b"DOT")
        replies.append(reply)
        counts = self.counts
        if reply[0] == 50:
            now = time.monotonic()
            counts[MESSAGES] += 1
            counts[COPIES] += self._taken
            counts[FIRST] = counts[FIRST] or now
            counts[LAST] = now
            if self.manners.by_post:
                self._note(now)
        else:
            counts[REFUSED] += self._taken
        self._taken, self._begin = 0, b""
        return reply

    def _note(self, now: float) -> None:
        """Which post it was."""
        found = _NUMBER.search(self._begin)
        if found is None or int(found[1]) >= POSTS:
            return
        at = HEADING + 3 * int(found[1])
        self.counts[at] += self._taken
        self.counts[at + 1] = self.counts[at + 1] or now
        self.counts[at + 2] = now

    def _commands(self, data: bytes, at: int, replies: list[bytes]) -> int:
        """An envelope at once, or one command; -1: there is no whole one left."""
        if self._is_plain and data.startswith(b"MAIL", at):
            end = data.find(_DATA, at)
            if end >= 0:
                lines = data.count(b"\r\n", at, end)
                if lines and lines == data.count(b"\r\nRCPT", at, end):
                    replies.append(self.manners.group(lines))
                    self._taken, self._in_content = lines, True
                    # The CRLF of the command may begin the end of the message.
                    return end + 6
        end = data.find(b"\r\n", at)
        if end < 0:
            self._rest = data[at:]
            return -1
        return self._command(data[at : at + 4].upper(), end, replies)

    def _command(self, verb: bytes, end: int, replies: list[bytes]) -> int:
        """Anything that is not the usual way; where the next one begins."""
        reply = self.manners.reply(verb)
        if verb == b"RCPT":
            self._taken += reply[0] == 50
            self.counts[REFUSED] += reply[0] != 50
        elif verb in (b"MAIL", b"RSET", b"EHLO"):
            self._taken = 0
        elif verb == b"DATA" and not self._taken:
            reply = _NOBODY
        replies.append(reply)
        self._is_ending = reply.startswith(_ENDING)
        self._in_content = verb == b"DATA" and reply[0] == 51
        return end if self._in_content else end + 2

    def _write(self, reply: bytes) -> None:
        # A network: each reply comes later, and none waits for another.
        if self.manners.latency:
            self._later(self.manners.latency, self._send, reply, self._is_ending)
        else:
            self._send(reply, self._is_ending)

    def _send(self, reply: bytes, is_last: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(reply)
        if is_last:
            self._transport.close()


def _chance(text: str) -> tuple[bytes, tuple[float, bytes]]:
    """RCPT=450:0.05 - one in twenty hears 450."""
    verb, _, rest = text.partition("=")
    code, _, share = rest.partition(":")
    reply = f"{code} {code[0]}.0.0 so I was told\r\n"
    return verb.encode(), (float(share), reply.encode())


def _manners(told: argparse.Namespace) -> Manners:
    manners = Manners(told.latency / 1000, by_post=told.by_post)
    manners.dice.seed(told.seed)
    for verb, chance in map(_chance, told.chance):
        manners.chances.setdefault(verb, []).append(chance)
    for text in told.say:
        verb, _, reply = text.partition("=")
        manners.says[verb.encode()] = f"{reply}\r\n".encode()
    return manners


async def _serve(host: str, port: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Session, sock=listener, backlog=1024)
    print("ready", flush=True)
    # Whoever started us ends us by closing this; a death of theirs does so too.
    await loop.run_in_executor(None, os.read, 0, 1)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("counts", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--slot", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--chance", action="append", default=[])
    parser.add_argument("--say", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--by-post", action="store_true")
    told = parser.parse_args()
    with told.counts.open("r+b") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
    Session.counts = whole[told.slot * SLOT : (told.slot + 1) * SLOT]
    Session.manners = _manners(told)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(told.host, told.port))


if __name__ == "__main__":
    main()
