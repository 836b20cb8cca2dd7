"""One listener process, from its settings to its last client."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dns.asyncresolver import Resolver

from smtpd.listener import sockets
from smtpd.listener.arrival import Network
from smtpd.listener.blocklists import Blocklists
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll, Site
from smtpd.listener.requests import Kind
from smtpd.listener.server import Listener
from smtpd.listener.service import Service
from smtpd.oracle.server import Oracle
from smtpd.oracle.wire import transport
from smtpd.submission.policy import Submission

log = logging.getLogger(__name__)

# Takes a bound socket and answers on it.
Listen = Callable[[socket.socket], Awaitable[None]]

# How often a process that does not have the mailbox socket asks for it.
TAKE_OVER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator decides."""

    hostname: str
    # host:port of the site, "" for none.
    bind: str
    # Folder for content on its way in.
    spool: Path
    # host:port or a path for our own mail server in front (LMTP), "" for none.
    lmtp: str = ""
    # host:port or a path where that server asks who is here, "" for none.
    lookup: str = ""
    # host:port for people with an account, "" for none: STARTTLS...
    submission: str = ""
    # ...and TLS from the first octet.
    submissions: str = ""
    # Networks of proxies in front of the three TCP ports for mail.
    trusts: tuple[Network, ...] = ()
    # Zones that list whom no mail is wanted from, and who is asked for them.
    blocklists: tuple[str, ...] = ()
    resolver: Callable[[], Resolver] = Resolver
    # Unix socket of the mailbox that catches all, None for none.
    mailbox: Path | None = None
    tls_cert: str = ""
    tls_key: str = ""
    limits: Limits = field(default_factory=Limits)


async def run(options: Options, ready: Callable[[list[str]], None]) -> None:
    """Listen until SIGTERM or SIGINT, then drain (see Listener.stop).

    `ready` is called with the addresses once clients are answered.
    """
    raise_file_limit()
    options.spool.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = Listener(
        hostname=options.hostname,
        limits=options.limits,
        folder=options.spool,
        tls_context=_tls_context(options),
        blocklists=_blocklists(options),
    )
    oracle = Oracle(
        listener.threads, transport=transport(options.lmtp, options.hostname)
    )
    names: list[str] = []
    waiting: list[asyncio.Task[None]] = []
    for bind, listen in _doors(options, listener, oracle):
        if bind.startswith("/"):
            # A server in front runs as another user.
            is_shared = bind in (options.lmtp, options.lookup)
            owned = sockets.OwnedSocket(Path(bind), is_shared=is_shared)
            waiting.append(await _own(owned, listen))
            names.append(bind)
        else:
            names += await _listen(bind, listen)
    ready(names)
    await stop.wait()
    log.info("stopping")
    for task in waiting:
        task.cancel()
    await asyncio.gather(oracle.stop(), listener.stop())


def _doors(
    options: Options, listener: Listener, oracle: Oracle
) -> list[tuple[str, Listen]]:
    """Each door that is open, and who takes the sockets there."""
    doors: list[tuple[str, Listen]] = [
        (bind, partial(listener.listen, service=service))
        for bind, service in _services(options)
    ]
    return doors + ([(options.lookup, oracle.listen)] if options.lookup else [])


def _services(options: Options) -> list[tuple[str, Service]]:
    """Each door for mail that is open, and what is behind it."""
    mailbox = str(options.mailbox.absolute()) if options.mailbox else ""
    people = Service(Submission(), Kind.SUBMISSION, trusts=options.trusts)
    doors = [
        (options.bind, Service(Site(), trusts=options.trusts)),
        (options.submission, people),
        (options.submissions, replace(people, is_tls=True)),
        (options.lmtp, Service(Site(answers_each=True), Kind.LMTP)),
        (mailbox, Service(CatchAll(), Kind.MAILBOX)),
    ]
    return [(bind, service) for bind, service in doors if bind]


async def _listen(bind: str, listen: Listen) -> list[str]:
    names = []
    for sock in sockets.tcp(bind):
        await listen(sock)
        host, port = sock.getsockname()[:2]
        names.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return names


async def _own(owned: sockets.OwnedSocket, listen: Listen) -> asyncio.Task[None]:
    """Answer on a unix socket now, or once no other process does."""
    sock = owned.bind()
    if sock is not None:
        await listen(sock)
    return asyncio.create_task(_take_over(owned, listen, sock is None))


async def _take_over(owned: sockets.OwnedSocket, listen: Listen, waits: bool) -> None:
    while waits:
        await asyncio.sleep(TAKE_OVER_SECONDS)
        if sock := owned.bind():
            await listen(sock)
            return


def _blocklists(options: Options) -> Blocklists | None:
    if not options.blocklists:
        return None
    return Blocklists(options.blocklists, options.resolver())


def _tls_context(options: Options) -> ssl.SSLContext | None:
    if not options.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert, options.tls_key or None)
    return context


def raise_file_limit() -> None:
    """Ask the system for as many sockets as it will give us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
