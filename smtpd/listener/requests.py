"""What a session asks of the one who drives it: nouns without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from smtpd.paths import Path


class Phase(Enum):
    """What we are waiting for, and so which timer runs."""

    COMMAND = auto()
    CONTENT = auto()


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path we said yes to, and what it was resolved to."""

    path: Path
    route: object


@dataclass(slots=True)
class Transaction:
    """One message's envelope, and what the client told of itself."""

    reverse_path: Path
    helo: str
    # RFC 3848 and RFC 6531 4.3: the `with` keyword of our Received field.
    protocol: str
    size: int = 0
    needs_8bit: bool = False
    needs_utf8: bool = False
    recipients: list[Recipient] = field(default_factory=list)
    # How many forward-paths were refused.
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Decide:
    """Look the path up, then tell the session: `decided`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Keep:
    """Content of the message, to be put behind what came before."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """Throw the content away: the message was refused."""


@dataclass(frozen=True, slots=True)
class Store:
    """The content is whole: store the message, then tell the session: `stored`."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Drop what was read, shake hands, then tell the session: `tls_started`."""


@dataclass(frozen=True, slots=True)
class Close:
    """The session is over."""


@dataclass(frozen=True, slots=True)
class More:
    """Read more octets and give them to `receive`.

    One timer runs for as long as phase and step stay the same.
    """

    phase: Phase
    step: int


Action = Send | Decide | Keep | Forget | Store | StartTLS | Close | More
