"""From nothing to a server that takes mail: connect, EHLO, TLS, AUTH.

Whatever goes wrong here is the host's trouble, never a recipient's. A
password goes over TLS, or in the clear only when RELAY_TLS=none says so.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field, replace
from functools import cache

from smtpd.outbound.failures import Stage
from smtpd.outbound.relay import TLS, Hop
from smtpd.outbound.results import MAX_TEXT, Outcome, Reply, Result, result
from smtpd.outbound.wire import Lost, Timeouts, Wire


class HostTrouble(Exception):
    """No mail can be handed to this host now; the text says why."""

    # RFC 3463 3.5, where it says more than the text.
    enhanced = ""

    def __init__(
        self, text: str, stage: Stage = Stage.UNSEEN, reply: Reply | None = None
    ) -> None:
        super().__init__(text)
        self.stage, self.reply = stage, reply

    @property
    def code(self) -> int | None:
        """What the server said, if it said anything."""
        return self.reply.code if self.reply else None

    def result(self, host: str) -> Result:
        """What this is for those who wait for the host: tried later, always."""
        if self.reply is None:
            text = str(self)[:MAX_TEXT]
            return Result(
                Outcome.TRY_LATER, None, self.enhanced, text, host, stage=self.stage
            )
        said = result(self.reply, host, self.stage)
        text = f"(to {self.stage}) {said.text}" if self.stage else said.text
        return replace(said, outcome=Outcome.TRY_LATER, text=text[:MAX_TEXT])


class Unreachable(HostTrouble):
    """Nobody answers there."""

    enhanced = "4.4.1"


class TLSTrouble(HostTrouble):
    """The server offers TLS and cannot do it."""

    def __init__(self, text: str, reply: Reply | None = None) -> None:
        super().__init__(text, Stage.STARTTLS, reply)


class LoginTrouble(HostTrouble):
    """We have a password and cannot use it there."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Stage.AUTH)


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection and what the server said it can do."""

    wire: Wire
    hop: Hop
    extensions: dict[str, str] = field(default_factory=dict)

    @property
    def size_limit(self) -> int:
        """RFC 1870 4; 0 means none was named."""
        value = self.extensions.get("SIZE", "")
        return int(value) if value.isascii() and value.isdigit() else 0


async def open_session(hop: Hop, timeouts: Timeouts) -> Session:
    """Raise HostTrouble when no mail can be sent to this host now."""
    try:
        return await _open(hop, timeouts)
    except TLSTrouble:
        # RFC 7435: better in the clear than not at all, but never a password.
        if hop.tls is not TLS.OPPORTUNISTIC or hop.user:
            raise
        return await _open(replace(hop, tls=TLS.NONE), timeouts)


async def _open(hop: Hop, timeouts: Timeouts) -> Session:
    wire = await _connect(hop, timeouts)
    try:
        _expect(await wire.reply(timeouts.greeting), Stage.GREETING)
        session = await _hello(Session(wire, hop), timeouts)
        if hop.tls in (TLS.OPPORTUNISTIC, TLS.STARTTLS):
            session = await _start_tls(session, timeouts)
        if hop.user:
            await _log_in(session, timeouts)
    except Lost as lost:
        wire.end("lost")
        raise HostTrouble(str(lost)) from lost
    except BaseException:
        wire.end("unusable")
        raise
    return session


async def _connect(hop: Hop, timeouts: Timeouts) -> Wire:
    loop = asyncio.get_running_loop()
    context = _context(hop) if hop.tls is TLS.IMPLICIT else None
    name = hop.host if context else None
    try:
        async with asyncio.timeout(timeouts.connect):
            if hop.unix_path:
                _, wire = await loop.create_unix_connection(Wire, hop.unix_path)
            else:
                _, wire = await loop.create_connection(
                    Wire, hop.host, hop.port, ssl=context, server_hostname=name
                )
    except ssl.SSLError as error:
        raise TLSTrouble(f"TLS failed: {error}") from error
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"cannot connect to {hop}: {_why(error)}") from error
    return wire


def _why(error: OSError | TimeoutError) -> str:
    """In the system's words; asyncio's own are about its calls."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error) or "no answer"


def _expect(reply: Reply, stage: Stage) -> Reply:
    if not reply.is_positive:
        raise HostTrouble(f"{stage} refused: {reply}", stage, reply)
    return reply


async def _hello(session: Session, timeouts: Timeouts) -> Session:
    """RFC 5321 4.1.1.1; a server that knows no EHLO is greeted with HELO."""
    wire, name = session.wire, session.hop.helo.encode()
    reply = await wire.ask(b"EHLO " + name, timeouts.command)
    if reply.code in (500, 501, 502, 504, 550):
        _expect(await wire.ask(b"HELO " + name, timeouts.command), Stage.EHLO)
        return replace(session, extensions={})
    lines = [line.decode("latin-1") for line in _expect(reply, Stage.EHLO).lines[1:]]
    words = [line.upper().partition(" ") for line in lines]
    return replace(session, extensions={name: rest for name, _, rest in words})


async def _start_tls(session: Session, timeouts: Timeouts) -> Session:
    """RFC 3207 4: what was said before TLS counts for nothing afterwards."""
    if "STARTTLS" not in session.extensions:
        if session.hop.tls is TLS.STARTTLS:
            raise TLSTrouble("STARTTLS is not offered, and RELAY_TLS demands it")
        return session
    wire = session.wire
    reply = await wire.ask(b"STARTTLS", timeouts.command)
    if not reply.is_positive or not wire.is_quiet:
        raise TLSTrouble(f"STARTTLS refused: {reply}", reply)
    loop = asyncio.get_running_loop()
    try:
        transport = await loop.start_tls(
            wire.transport,
            wire,
            _context(session.hop),
            server_hostname=session.hop.name or session.hop.host,
            ssl_handshake_timeout=timeouts.connect,
        )
    except (OSError, EOFError) as error:
        raise TLSTrouble(f"TLS failed: {error}") from error
    if transport is None:
        raise TLSTrouble("TLS failed: connection closed")
    wire.connection_made(transport)
    return await _hello(session, timeouts)


def _context(hop: Hop) -> ssl.SSLContext:
    return _unverified() if hop.tls is TLS.OPPORTUNISTIC else _verified()


@cache
def _unverified() -> ssl.SSLContext:
    # Whom would a wrong name keep out, when no TLS at all is good enough?
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _verified() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _log_in(session: Session, timeouts: Timeouts) -> None:
    """RFC 4954 4; PLAIN (RFC 4616) if offered, else the older LOGIN."""
    hop, wire = session.hop, session.wire
    is_encrypted = wire.transport.get_extra_info("ssl_object") is not None
    if not is_encrypted and hop.tls is not TLS.NONE:
        raise LoginTrouble("no TLS: the password stays here unless RELAY_TLS=none")
    user, password = hop.user.encode(), hop.password.encode()
    offered = session.extensions.get("AUTH", "").split()
    if "PLAIN" in offered:
        secret = b64encode(b"\0" + user + b"\0" + password)
        reply = await wire.ask(b"AUTH PLAIN " + secret, timeouts.command)
    elif "LOGIN" in offered:
        reply = await wire.ask(b"AUTH LOGIN", timeouts.command)
        for word in (user, password):
            if reply.code == 334:
                reply = await wire.ask(b64encode(word), timeouts.command)
    else:
        raise LoginTrouble("RELAY_USER is set, and the host offers no AUTH we know")
    _expect(reply, Stage.AUTH)
