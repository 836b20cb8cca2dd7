"""Where mail goes next, as the settings say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# The one destination there is as long as all mail goes through a relay.
RELAY = "relay"
MAILBOX = "mailbox"
MX = "mx"
_SMTP = 25
# What a row of the ledger keeps of a host.
MAX_HOST = 255
_MAX_PORT = 65535
_HOST_PORT = re.compile(
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)


class TLS(StrEnum):
    """RELAY_TLS: what happens before the first message."""

    NONE = "none"
    # Encrypted when the server offers it, whoever it is.
    OPPORTUNISTIC = "opportunistic"
    # Encrypted with a certificate of that name, or nothing is sent.
    STARTTLS = "starttls"
    # TLS from the first byte (RFC 8314 3.3), certificate as above.
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Hop:
    """One server to talk to, and what it must be told."""

    host: str
    port: int = _SMTP
    # A socket in the file system instead of host and port.
    unix_path: str = ""
    tls: TLS = TLS.OPPORTUNISTIC
    user: str = ""
    password: str = ""
    # What EHLO says.
    helo: str = "localhost"
    # Of a server found by MX: its name, and host is one of its addresses.
    name: str = ""

    def __str__(self) -> str:
        if self.unix_path:
            return self.host
        host = f"{self.name}[{self.host}]" if self.name else self.host
        return f"{host}:{self.port}"[-MAX_HOST:]


def is_direct() -> bool:
    """Whether each domain's own servers get their mail from us."""
    return str(settings.RELAY) == MX


def hop() -> Hop:
    """The server that takes all our mail; ImproperlyConfigured if unusable."""
    if settings.RELAY == MAILBOX:
        path = settings.FOLKMOOT_DATA / "mailbox.sock"
        return Hop(
            MAILBOX, unix_path=str(path), tls=TLS.NONE, helo=settings.SMTP_HOSTNAME
        )
    host, port = host_and_port(settings.RELAY)
    return Hop(
        host,
        port,
        tls=_tls(),
        user=settings.RELAY_USER,
        password=settings.RELAY_PASSWORD,
        helo=settings.SMTP_HOSTNAME,
    )


def host_and_port(text: str, port: int = _SMTP) -> tuple[str, int]:
    """Both parts of `host:port`, or `host` alone; else ImproperlyConfigured."""
    match = _HOST_PORT.fullmatch(text)
    if not match or int(match["port"] or port) > _MAX_PORT:
        raise ImproperlyConfigured(f"{text!r} is not host:port")
    return match["host"].strip("[]"), int(match["port"] or port)


def _tls() -> TLS:
    try:
        return TLS(settings.RELAY_TLS)
    except ValueError as error:
        names = ", ".join(TLS)
        raise ImproperlyConfigured(f"RELAY_TLS must be one of {names}") from error
