"""One listener process, from its settings to its last client."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
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
    given = sockets.inherited()
    for name, bind, listen in _doors(options, listener, oracle):
        if name in given:
            names += await _listen(given.pop(name), listen)
        elif bind.startswith("/"):
            # A server in front runs as another user.
            is_shared = name in (sockets.LMTP, sockets.LOOKUP)
            owned = sockets.OwnedSocket(Path(bind), is_shared=is_shared)
            waiting.append(await _own(owned, listen))
            names.append(bind)
        elif bind:
            names += await _listen(sockets.tcp(bind), listen)
    if given:
        raise ValueError(f"nobody knows what a socket called {min(given)!r} is for")
    _hear_reload(listener, options)
    ready(names)
    await stop.wait()
    log.info("stopping")
    for task in waiting:
        task.cancel()
    await asyncio.gather(oracle.stop(), listener.stop())


def _doors(
    options: Options, listener: Listener, oracle: Oracle
) -> list[tuple[str, str, Listen]]:
    """The name of each door, where it is, and who takes the sockets there."""
    doors: list[tuple[str, str, Listen]] = [
        (name, bind, partial(listener.listen, service=service))
        for name, bind, service in _services(options)
    ]
    return [*doors, (sockets.LOOKUP, options.lookup, oracle.listen)]


def _services(options: Options) -> list[tuple[str, str, Service]]:
    """Each door for mail, and what is behind it."""
    mailbox = str(options.mailbox.absolute()) if options.mailbox else ""
    people = Service(Submission(), Kind.SUBMISSION, trusts=options.trusts)
    front = Service(Site(answers_each=True), Kind.LMTP)
    return [
        (sockets.SMTP, options.bind, Service(Site(), trusts=options.trusts)),
        (sockets.SUBMISSION, options.submission, people),
        (sockets.SUBMISSIONS, options.submissions, replace(people, is_tls=True)),
        (sockets.LMTP, options.lmtp, front),
        (sockets.MAILBOX, mailbox, Service(CatchAll(), Kind.MAILBOX)),
    ]


async def _listen(bound: Sequence[socket.socket], listen: Listen) -> list[str]:
    for sock in bound:
        await listen(sock)
    return [_address(sock) for sock in bound]


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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


def _hear_reload(listener: Listener, options: Options) -> None:
    """Read the certificate again on SIGHUP, for whoever comes from then on.

    In a terminal that signal still means that the terminal has gone.
    """

    def read_again() -> None:
        try:
            listener.tls_context = _tls_context(options)
        except OSError as error:
            log.warning("certificate not read, the old one stays error=%s", error)
        else:
            log.info("certificate read again")

    if not sys.stdin.isatty():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, read_again)


def raise_file_limit() -> None:
    """Ask the system for as many sockets as it will give us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
