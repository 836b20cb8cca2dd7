"""The oracle's port: connections that stay open, one question after another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from functools import partial

from smtpd.listener.sockets import KEEP_NAME, close_doors
from smtpd.listener.threads import Threads, trouble
from smtpd.oracle import answers, wire
from smtpd.oracle.wire import Access, Lookup, Questions, Unreadable

log = logging.getLogger(__name__)

CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and for how many we wait; the tests set them small."""

    # Each smtpd of a Postfix keeps one connection for each protocol.
    connections: int = 1000
    # Longer than Postfix keeps an idle one (smtpd_policy_service_max_idle).
    idle_seconds: float = 600
    # From the first octet of a question to its last.
    question_seconds: float = 10
    # For the client to read our answers.
    write_seconds: float = 10


class Oracle:
    """Made inside a running loop; `listen` for each socket, `stop` once."""

    def __init__(
        self,
        threads: Threads,
        *,
        transport: str = "",
        patience: Patience | None = None,
    ) -> None:
        self.threads = threads
        # How Postfix reaches our LMTP: `lmtp:inet:127.0.0.1:24`, "" for not.
        self.transport = transport
        self.patience = patience or Patience()
        self.is_stopping = False
        self._servers: list[asyncio.Server] = []
        self._conversations: set[_Conversation] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    async def listen(self, sock: socket.socket) -> None:
        """Answer on a bound socket."""
        if sock.family == socket.AF_UNIX:
            server = await asyncio.start_unix_server(
                self._welcome, sock=sock, **KEEP_NAME
            )
        else:
            server = await asyncio.start_server(self._welcome, sock=sock)
        self._servers.append(server)

    async def _welcome(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._conversations) >= self.patience.connections:
            log.warning(
                "connection refused by=lookup open=%d", len(self._conversations)
            )
            writer.close()
            return
        conversation = _Conversation(self, reader, writer)
        self._conversations.add(conversation)
        self._is_empty.clear()
        try:
            await conversation.run()
        finally:
            writer.close()
            self._conversations.discard(conversation)
            if not self._conversations:
                self._is_empty.set()

    async def stop(self) -> None:
        """Stop accepting; a question that was asked is answered, then return."""
        self.is_stopping = True
        await close_doors(self._servers)
        for conversation in tuple(self._conversations):
            conversation.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience.question_seconds):
                await self._is_empty.wait()


class _Conversation:
    """One connection."""

    def __init__(
        self, oracle: Oracle, reader: StreamReader, writer: StreamWriter
    ) -> None:
        self.oracle = oracle
        self.reader = reader
        self.writer = writer
        self.questions = Questions()
        # The timer of the read that is going on.
        self._timer: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Answer until the client goes, or is none of ours."""
        try:
            while question := await self._question():
                await self._answer(question)
        except (ConnectionError, TimeoutError):
            pass
        except Unreadable as error:
            log.warning("connection cut by=lookup reason=%s", error)

    def stop(self) -> None:
        """End it, unless a question is being answered: then right after."""
        if self._timer is not None:
            self._timer.reschedule(0)

    async def _question(self) -> Lookup | Access | None:
        now = asyncio.get_running_loop().time
        deadline = now() + self.oracle.patience.idle_seconds
        while (question := self.questions.next()) is None:
            if self.oracle.is_stopping:
                return None
            if self.questions.buffer:
                patience = self.oracle.patience.question_seconds
                deadline = min(deadline, now() + patience)
            async with asyncio.timeout_at(deadline) as self._timer:
                data = await self.reader.read(CHUNK)
            self._timer = None
            if not data:
                return None
            self.questions.buffer += data
        return question

    async def _answer(self, question: Lookup | Access) -> None:
        try:
            answer = await self._ask(question)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            reply = trouble(error, "lookup")
            is_lookup = isinstance(question, Lookup)
            answer = wire.not_now(reply) if is_lookup else wire.refuse(reply)
        self.writer.write(answer)
        async with asyncio.timeout(self.oracle.patience.write_seconds):
            await self.writer.drain()

    async def _ask(self, question: Lookup | Access) -> bytes:
        if isinstance(question, Lookup):
            work = partial(answers.look_up, question, self.oracle.transport)
        elif question.recipient:
            work = partial(answers.judge, question)
        else:
            return wire.go_on()
        return await self.oracle.threads.run(work, twice=True)
