"""The next server, for tests and the benchmark: takes mail, or does as told.

    with Sink(Script(rcpt={"sam@home.test": "550 5.1.1 no"})) as sink:
        ...
        sink.messages

As a program it only counts: `python -m tests.sink 2526 [--latency 0.01]`
prints `<count> <first> <last>` (seconds of the monotonic clock) for each line
it reads on its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Script:
    """What to answer instead of yes. A list gives one reply a time, then yes."""

    greeting: str = "220 sink ESMTP"
    # By verb: EHLO, HELO, STARTTLS, AUTH, MAIL, DATA, DOT, RSET.
    verbs: dict[str, str | list[str]] = field(default_factory=dict)
    # By recipient.
    rcpt: dict[str, str | list[str]] = field(default_factory=dict)
    extensions: tuple[str, ...] = (
        "PIPELINING",
        "SIZE 50000000",
        "8BITMIME",
        "SMTPUTF8",
    )
    # Close without a word: `MAIL`, `RCPT`, `DATA`, `DOT` (message taken, no
    # reply); how often.
    drop: dict[str, int] = field(default_factory=dict)
    # Seconds before the reply to a message.
    latency: float = 0.0
    # Answer with these bytes instead of a reply to the dot.
    raw_dot: bytes = b""
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    user: tuple[str, str] | None = None
    # Messages a connection may bring before it is told 421.
    most_messages: int = 0


@dataclass(frozen=True)
class Received:
    """One message as it came: dots unstuffed, the final dot gone."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    stuffed: bytes
    connection: int
    # What stood in MAIL behind the path.
    parameters: str
    at: float
    helo: str


class Sink:
    """A server in a thread of its own; a context manager."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        path: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.script = script or Script()
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.connections = 0
        self.open: set[_Session] = set()
        # Called in the sink's thread before a message is answered.
        self.on_message: Callable[[Received], None] = lambda message: None
        self.host, self.port = host, port
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _start(self) -> None:
        def make() -> _Session:
            return _Session(self)

        context = self.script.tls if self.script.implicit_tls else None
        if self._path:
            self._server = await self._loop.create_unix_server(make, self._path)
            return
        self._server = await self._loop.create_server(
            make, self.host, self.port, ssl=context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for session in list(self.open):
            session.transport.abort()
        while self.open:
            await asyncio.sleep(0.001)

    @property
    def relay(self) -> str:
        """For RELAY."""
        return f"{self.host}:{self.port}"

    def recipients(self) -> list[str]:
        """Everybody who got a copy, once for each copy."""
        return [to for message in list(self.messages) for to in message.recipients]

    def hang_up(self) -> None:
        """Drop everybody who is connected."""
        for session in list(self.open):
            self._loop.call_soon_threadsafe(session.transport.abort)

    def wait_for(self, count: int, seconds: float = 10) -> None:
        """Until that many copies have come."""
        until = time.monotonic() + seconds
        while len(self.recipients()) < count:
            assert time.monotonic() < until, f"{len(self.recipients())} of {count}"
            time.sleep(0.005)


def _reply(told: dict[str, str | list[str]], key: str) -> str | None:
    reply = told.get(key)
    if isinstance(reply, list):
        return reply.pop(0) if reply else None
    return reply


class _Session(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink, self.script = sink, sink.script
        self.buffer = b""
        self.in_data = False
        self.is_tls = False
        self.helo = ""
        self.sender: str | None = None
        self.parameters = ""
        self.recipients: list[str] = []
        self.taken = 0
        self.login: list[str] | None = None
        self.blocked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self in self.sink.open:
            return
        self.sink.open.add(self)
        self.sink.connections += 1
        self.number = self.sink.connections
        self.is_tls = self.script.implicit_tls
        if self.script.greeting:
            self.say(self.script.greeting)
            if not self.script.greeting.startswith("2"):
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.sink.open.discard(self)

    def say(self, text: str) -> None:
        self.transport.write(text.encode("utf-8", "surrogateescape") + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.work()

    def work(self) -> None:
        while not self.blocked and not self.transport.is_closing():
            if self.in_data:
                if self.buffer.startswith(b".\r\n"):
                    content, self.buffer = b"", self.buffer[3:]
                else:
                    end = self.buffer.find(b"\r\n.\r\n")
                    if end < 0:
                        return
                    content, self.buffer = (
                        self.buffer[: end + 2],
                        self.buffer[end + 5 :],
                    )
                self.in_data = False
                self.take(content)
            else:
                line, found, rest = self.buffer.partition(b"\r\n")
                if not found:
                    return
                self.buffer = rest
                self.command(line.decode("utf-8", "surrogateescape"))

    def dropped(self, what: str) -> bool:
        if self.script.drop.get(what, 0) > 0:
            self.script.drop[what] -= 1
            self.transport.abort()
            return True
        return False

    def command(self, line: str) -> None:
        self.sink.commands.append(line)
        if self.login is not None:
            self.log_in(line)
            return
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if self.dropped(verb):
            return
        told = _reply(self.script.verbs, verb)
        if told is not None:
            self.say(told)
            if told.startswith("421"):
                self.transport.close()
            elif verb == "DATA" and told.startswith("354"):
                self.in_data = True
            return
        method = getattr(self, f"do_{verb.lower()}", None)
        if method is None:
            self.say("502 5.5.2 unknown")
        else:
            method(rest)

    def do_ehlo(self, rest: str) -> None:
        self.helo = rest
        words = list(self.script.extensions)
        if self.script.tls and not self.is_tls:
            words.append("STARTTLS")
        lines = ["sink", *words]
        for at, word in enumerate(lines):
            self.say(f"250{' ' if at == len(lines) - 1 else '-'}{word}")

    def do_helo(self, rest: str) -> None:
        self.helo = rest
        self.say("250 sink")

    def do_starttls(self, rest: str) -> None:
        assert self.script.tls
        self.say("220 2.0.0 go")
        self.blocked, self.buffer = True, b""
        loop = asyncio.get_running_loop()

        async def upgrade() -> None:
            assert self.script.tls
            try:
                transport = await loop.start_tls(
                    self.transport, self, self.script.tls, server_side=True
                )
            except OSError:
                self.sink.open.discard(self)
                return
            assert transport is not None
            self.transport, self.is_tls, self.blocked = transport, True, False
            self.work()

        self.task = loop.create_task(upgrade())

    def do_auth(self, rest: str) -> None:
        kind, _, secret = rest.partition(" ")
        if kind == "PLAIN":
            _, user, password = b64decode(secret).decode().split("\0")
            self.judge(user, password)
        else:
            self.login = []
            self.say("334 VXNlcm5hbWU6")

    def log_in(self, line: str) -> None:
        assert self.login is not None
        self.login.append(b64decode(line).decode())
        if len(self.login) == 1:
            self.say("334 UGFzc3dvcmQ6")
            return
        (user, password), self.login = self.login, None
        self.judge(user, password)

    def judge(self, user: str, password: str) -> None:
        self.sink.logins.append((user, password))
        good = (user, password) == self.script.user
        self.say("235 2.7.0 welcome" if good else "535 5.7.8 no")

    def do_mail(self, rest: str) -> None:
        if self.script.most_messages and self.taken >= self.script.most_messages:
            self.say("421 4.7.0 enough for one connection")
            self.transport.close()
            return
        if self.sender is not None:
            self.say("503 5.5.1 nested MAIL")
            return
        path, _, self.parameters = rest.partition(">")
        self.sender = path.partition("<")[2]
        self.recipients = []
        self.say("250 2.1.0 ok")

    def do_rcpt(self, rest: str) -> None:
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
            return
        address = rest.partition("<")[2].rpartition(">")[0]
        reply = _reply(self.script.rcpt, address) or "250 2.1.5 ok"
        if reply.startswith("2"):
            self.recipients.append(address)
        self.say(reply)

    def do_data(self, rest: str) -> None:
        if not self.recipients:
            self.say("554 5.5.1 no valid recipients")
            return
        self.in_data = True
        self.say("354 go")

    def take(self, content: bytes) -> None:
        sender, self.sender = self.sender or "", None
        recipients, self.recipients = tuple(self.recipients), []
        raw = content.replace(b"\r\n..", b"\r\n.")
        raw = raw[1:] if raw.startswith(b"..") else raw
        message = Received(
            sender,
            recipients,
            raw,
            content,
            self.number,
            self.parameters,
            time.monotonic(),
            self.helo,
        )
        reply = _reply(self.script.verbs, "DOT")
        if reply is None and not recipients:
            reply = "554 5.5.1 no valid recipients"
        is_taken = reply is None or reply.startswith("2")
        if is_taken:
            self.sink.messages.append(message)
            self.taken += 1
            self.sink.on_message(message)
        if self.dropped("DOT"):
            return
        if self.script.raw_dot:
            self.transport.write(self.script.raw_dot)
            return
        reply = reply or f"250 2.0.0 taken as {len(self.sink.messages)}"
        if self.script.latency:
            self.blocked = True
            loop = asyncio.get_running_loop()
            loop.call_later(self.script.latency, self.later, reply)
        else:
            self.finish(reply)

    def later(self, reply: str) -> None:
        self.blocked = False
        self.finish(reply)
        self.work()

    def finish(self, reply: str) -> None:
        self.say(reply)
        if reply.startswith("421"):
            self.transport.close()

    def do_rset(self, rest: str) -> None:
        self.sender, self.recipients = None, []
        self.say("250 2.0.0 ok")

    def do_quit(self, rest: str) -> None:
        self.say("221 2.0.0 bye")
        self.transport.close()


class _Counter(asyncio.Protocol):
    """The cheapest server that speaks enough SMTP: counts copies, keeps none."""

    count = 0
    first = last = 0.0
    latency = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.in_data = False
        self.buffer = b""
        self.recipients = 0
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        replies: list[bytes] = []
        while buffer:
            if self.in_data:
                end = buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                buffer = buffer[end + 5 :]
                self.in_data = False
                _Counter.count += self.recipients
                _Counter.last = time.monotonic()
                _Counter.first = _Counter.first or _Counter.last
                replies.append(b"250 2.0.0 taken\r\n")
            else:
                line, found, rest = buffer.partition(b"\r\n")
                if not found:
                    break
                buffer = rest
                replies.append(self.answer(line[:4].upper()))
        self.buffer = buffer
        if _Counter.latency:
            later = asyncio.get_running_loop().call_later
            later(_Counter.latency, self.transport.write, b"".join(replies))
        elif replies:
            self.transport.write(b"".join(replies))

    def answer(self, verb: bytes) -> bytes:
        if verb == b"RCPT":
            self.recipients += 1
            return b"250 2.1.5 ok\r\n"
        if verb == b"MAIL":
            self.recipients = 0
            return b"250 2.1.0 ok\r\n"
        if verb == b"DATA":
            self.in_data = True
            return b"354 go\r\n"
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n"
        return b"250 ok\r\n"


async def _count(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Counter, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(_Counter.count, _Counter.first, _Counter.last, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    told = parser.parse_args()
    _Counter.latency = told.latency
    asyncio.run(_count(told.port))


if __name__ == "__main__":
    main()
