"""One listener process, from its settings to its last client."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from smtpd.listener import sockets
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll, Site
from smtpd.listener.server import Listener

log = logging.getLogger(__name__)

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
    )
    names = await _listen(listener, options)
    taking_over = await _answer_mailbox(listener, options.mailbox)
    names += [str(options.mailbox)] if options.mailbox else []
    ready(names)
    await stop.wait()
    log.info("stopping")
    taking_over.cancel()
    await listener.stop()


async def _listen(listener: Listener, options: Options) -> list[str]:
    names = []
    for sock in sockets.tcp(options.bind) if options.bind else []:
        await listener.listen(sock, Site())
        host, port = sock.getsockname()[:2]
        names.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return names


async def _answer_mailbox(listener: Listener, path: Path | None) -> asyncio.Task[None]:
    """Answer on the mailbox socket now, or once no other process does."""
    owned = sockets.OwnedSocket(path) if path else None
    sock = owned.bind() if owned else None
    if sock is not None:
        await listener.listen(sock, CatchAll())
    waiting = owned if sock is None else None
    return asyncio.create_task(_take_over(listener, waiting))


async def _take_over(listener: Listener, owned: sockets.OwnedSocket | None) -> None:
    while owned is not None:
        await asyncio.sleep(TAKE_OVER_SECONDS)
        if sock := owned.bind():
            await listener.listen(sock, CatchAll())
            return


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
