"""What aiosmtpd gives a connection: the transport and TLS.

Every word and every timer is ours; here is what aiosmtpd would do otherwise.
"""

from __future__ import annotations

import asyncio
import ssl

from aiosmtpd.smtp import SMTP

# At most read at once.
CHUNK = 65_536


class _NoHooks:
    """What aiosmtpd calls a handler, and would look through for each connection."""

    def __dir__(self) -> tuple[str, ...]:
        return ()


_NO_HOOKS = _NoHooks()


class Plumbing(SMTP):
    """A connection without anything to say; aiosmtpd calls _handle_client."""

    line_length_limit = CHUNK

    def __init__(self, hostname: str, tls_context: ssl.SSLContext | None) -> None:
        super().__init__(
            _NO_HOOKS,
            hostname=hostname,
            tls_context=tls_context,
            loop=asyncio.get_running_loop(),
        )
        # The client's IP address, "" on a unix socket.
        self.peer = ""

    def arrived(self) -> None:
        """Who it is, is known; nothing was read."""
        raise NotImplementedError

    @property
    def is_secure(self) -> bool:
        """Whether TLS is on: there is no half-close then."""
        raise NotImplementedError

    def __dir__(self) -> tuple[str, ...]:
        """Nothing: it would look for hooks in every connection, for 140 us."""
        return ()

    async def push(self, status: str | bytes) -> None:
        """Say nothing: the session does the talking."""

    def _timeout_cb(self) -> None:
        """Do nothing: _read has the timers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is; called again when TLS takes over."""
        is_new = self.transport is None
        super().connection_made(transport)
        if is_new:
            self.peer = _peer(transport.get_extra_info("peername"))
            # Else asyncio has 256 KiB mapped and unmapped for each line it reads.
            if hasattr(transport, "max_size"):
                transport.max_size = CHUNK
            self.arrived()

    def eof_received(self) -> bool:
        """Let what came before a half-close be answered (no cancelling)."""
        asyncio.StreamReaderProtocol.eof_received(self)
        return not self.is_secure

    def connection_lost(self, error: Exception | None) -> None:
        """Leave the session to notice: a store that is going on is not cut."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None


def _peer(name: object) -> str:
    """The client's IP address, "" on a unix socket."""
    if not isinstance(name, tuple):
        return ""
    return str(name[0]).removeprefix("::ffff:").partition("%")[0]
