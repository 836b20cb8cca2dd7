"""One client on a socket: drives a session and keeps its time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, get_args

from aiosmtpd.smtp import TLSSetupException

from smtpd import replies
from smtpd.listener.arrival import announced, is_stranger, is_within, speaks_first
from smtpd.listener.deadline import Deadline
from smtpd.listener.desk import Desk
from smtpd.listener.plumbing import CHUNK, Plumbing
from smtpd.listener.proxy import BadHeader
from smtpd.listener.requests import (
    Action,
    Client,
    Close,
    Forget,
    Keep,
    Kind,
    More,
    Pause,
    Phase,
    Question,
    Send,
    StartTLS,
    Store,
)
from smtpd.listener.service import Service
from smtpd.listener.session import Session
from smtpd.listener.spool import NoRoom, Spool
from smtpd.listener.threads import trouble
from smtpd.replies import Reply

if TYPE_CHECKING:
    from smtpd.listener.server import Listener

log = logging.getLogger(__name__)

# How long we read on for the client to see our last words before a reset.
LINGER_SECONDS = 2.0


class Connection(Plumbing):
    """A connection from accept to close; aiosmtpd calls _handle_client."""

    def __init__(self, listener: Listener, service: Service) -> None:
        super().__init__(listener.hostname, listener.tls_context)
        self.listener = listener
        self.limits = listener.limits
        self.service = service
        self._desk = Desk(service.policy, listener)
        self._is_proxied = False
        self.machine = self._session()
        self._spool: Spool | None = None
        # How long the read that is going on may take, and what it waits for.
        self._limit = Deadline()
        self._more = More(Phase.COMMAND, -1)
        self._began = 0.0
        self._octets = 0
        self._do: dict[type[Action], Callable[[Any], Awaitable[bool]]] = {
            Send: self._send,
            Pause: self._pause,
            More: self._read,
            **dict.fromkeys(get_args(Question), self._answer),
            Keep: self._keep,
            Forget: self._forget,
            Store: self._store,
            StartTLS: self._start_tls,
            Close: self._close,
        }

    def _session(self, refusal: Reply | None = None) -> Session:
        return Session(
            hostname=self.listener.hostname,
            limits=self.limits,
            kind=self.service.kind,
            has_certificate=self.listener.tls_context is not None,
            client=Client(peer=self.peer, is_secure=self.service.is_tls),
            refusal=refusal,
        )

    def arrived(self) -> None:
        """Read nothing yet where the first octets are not the session's."""
        self._is_proxied = is_within(self.peer, self.service.trusts)
        if self._is_proxied or self.service.is_tls:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.pause_reading()

    @property
    def is_secure(self) -> bool:
        """Whether TLS is on."""
        return self.machine.state.client.is_secure

    async def _handle_client(self) -> None:
        """Serve the client from the greeting to the end."""
        self.listener.note(self)
        try:
            if await self._is_announced():
                await self._pass_gate()
        finally:
            self.listener.forget(self)
            self._limit.close()
            await self._forget()
            self._hang_up()

    async def _pass_gate(self) -> None:
        """Serve the client, if there is a place for one more of its kind."""
        self.machine.state.client.peer = self.peer
        gate = self.listener.gate
        refusal = gate.enter(self.peer)
        if refusal is None:
            try:
                await self._serve()
            finally:
                gate.leave(self.peer)
            return
        log.warning("connection refused peer=%s reply=%s", self.peer, refusal)
        if not self.service.is_tls:
            self._writer.write(bytes(refusal))

    async def _is_announced(self) -> bool:
        """Have a trusted proxy say whom it brings; without that it is nobody."""
        if not self._is_proxied:
            return True
        assert isinstance(self.transport, asyncio.Transport)
        try:
            async with self._limit.until(self.loop.time() + self.limits.proxy_seconds):
                client = await announced(self.transport)
        except (OSError, TimeoutError, BadHeader) as error:
            log.warning("proxy not understood peer=%s error=%r", self.peer, error)
            return False
        self.peer = client or self.peer
        if not self.service.is_tls:
            self.transport.resume_reading()
        return True

    async def _arrive(self) -> bool:
        """All there is to do before the greeting; whether to go on to it."""
        if self.service.is_tls:
            raw = self.transport
            assert isinstance(raw, asyncio.Transport)
            # Once the octets go to the handshake, which begins first.
            self.loop.call_soon(raw.resume_reading)
            await self._shake_hands()
        if self.service.kind is not Kind.SMTP or not is_stranger(self.peer):
            return True
        lists, limits = self.listener.blocklists, self.limits
        zone, is_early = await asyncio.gather(
            lists.listing(self.peer) if lists else _nowhere(),
            speaks_first(self._reader, limits.greeting_pause),
        )
        if zone:
            why = f"{self.peer} is listed at {zone}"
            self.machine = self._session(replies.NOT_WELCOME.fill(why=why))
            log.warning("client refused peer=%s zone=%s", self.peer, zone)
        if is_early:
            log.warning("client refused peer=%s reason=early", self.peer)
            self._writer.write(bytes(replies.EARLY_TALKER))
            return await self._close(Close())
        return True

    async def _serve(self) -> None:
        try:
            is_on = await self._arrive()
            while is_on:
                is_on = await self._step()
        except (ConnectionError, TimeoutError, TLSSetupException) as error:
            log.info("connection lost peer=%s error=%r", self.peer, error)
        except Exception as error:  # noqa: BLE001 - a bug here must not be a 5xx
            reply = trouble(error, self.peer)
            self._writer.write(bytes(replies.TEMP_CLOSE.with_text(reply.text)))

    async def _step(self) -> bool:
        action = self.machine.next()
        return await self._do[type(action)](action)

    def _hang_up(self) -> None:
        """Close; a client that does not read our last words is cut off."""
        transport = self.transport
        # asyncio's TLS transport does not stand being closed twice.
        if transport is None or transport.is_closing():
            return
        assert isinstance(transport, asyncio.Transport)
        is_unread = transport.get_write_buffer_size() > 0
        transport.close()
        if is_unread:
            self.loop.call_later(self.limits.write_seconds, transport.abort)

    # --- what the session asks for; each returns whether to go on -------------

    async def _send(self, request: Send) -> bool:
        self._writer.write(request.data)
        if self._writer.transport.get_write_buffer_size():
            async with asyncio.timeout(self.limits.write_seconds):
                await self._writer.drain()
        return True

    async def _read(self, request: More) -> bool:
        if self.listener.is_stopping and request.phase is Phase.COMMAND:
            self.machine.hang_up(replies.SHUTTING_DOWN)
            return True
        deadline = self._deadline(request)
        try:
            async with self._limit.until(deadline):
                data = await self._reader.read(CHUNK)
        except TimeoutError:
            self._cut()
            return True
        if request.phase is Phase.COMMAND:
            self.machine.state.is_full = self.listener.is_full()
            self.machine.state.room = self.listener.room.left
        self._octets += len(data)
        await self.listener.turns.wait(len(data))
        self.machine.receive(data)
        return bool(data)

    def _cut(self) -> None:
        is_ours = self.listener.is_stopping
        reply = replies.SHUTTING_DOWN if is_ours else replies.TOO_SLOW
        log.info("cut off peer=%s reply=%s", self.peer, reply)
        self.machine.hang_up(reply)

    def _deadline(self, request: More) -> float:
        """When the next octets must have come."""
        now = self.loop.time()
        if request != self._more:
            self._more, self._began, self._octets = request, now, 0
        limits = self.limits
        if request.phase is Phase.COMMAND:
            return self._began + limits.command_seconds
        return min(
            now + limits.chunk_seconds,
            self._began + limits.content_seconds,
            self._began + limits.rate_grace_seconds + self._octets / limits.rate,
            self.listener.last_call,
        )

    def stop(self) -> None:
        """Say goodbye now, or let the message that is coming in be finished."""
        if not self._limit.is_running:
            return
        if self._more.phase is Phase.COMMAND:
            self._limit.move(self.loop.time())
        else:
            self._limit.move(self._deadline(self._more))

    async def _pause(self, request: Pause) -> bool:
        """Wait, but not longer than we are up."""
        if not self.listener.is_stopping:
            await asyncio.sleep(request.seconds)
        return True

    async def _answer(self, request: Question) -> bool:
        await self._desk.answer(self.machine, request)
        return True

    async def _keep(self, request: Keep) -> bool:
        try:
            if self._spool is None:
                self._spool = Spool(
                    self.listener.folder,
                    memory=self.limits.spool_memory,
                    room=self.listener.room,
                )
            self._spool.write(request.data)
        except NoRoom:
            log.warning("no room for content peer=%s", self.peer)
            await self._keep_failed(replies.DISK_LOW)
        except OSError as error:
            self.listener.doubt_disk()
            reply = trouble(error, self.peer)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            await self._keep_failed(replies.DISK_LOW if is_full else reply)
        return True

    async def _keep_failed(self, reply: Reply) -> None:
        """Nothing more is kept of it, and what was makes room for others."""
        self.machine.keep_failed(reply)
        await self._forget()

    async def _forget(self, request: Forget | None = None) -> bool:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        return True

    async def _store(self, request: Store) -> bool:
        # Ours no more: a thread reads it, also when the client has gone.
        spool, self._spool = self._spool, None
        await self._desk.store(self.machine, request, spool)
        return True

    async def _start_tls(self, request: StartTLS) -> bool:
        await self._shake_hands()
        self.machine.tls_started()
        return True

    async def _shake_hands(self) -> None:
        async with self._limit.until(self.loop.time() + self.limits.handshake_seconds):
            await self.smtp_STARTTLS("")

    async def _close(self, request: Close) -> bool:
        """Wait a little: unread octets would reset what we said last."""
        if self._writer.can_write_eof():
            with contextlib.suppress(OSError, TimeoutError):
                self._writer.write_eof()
                async with asyncio.timeout(LINGER_SECONDS):
                    while await self._reader.read(CHUNK):
                        pass
        return False


async def _nowhere() -> str:
    return ""
