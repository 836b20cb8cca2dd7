"""What a session asks of the one who drives it: nouns without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from smtpd.paths import Path
from smtpd.replies import Reply


class Kind(Enum):
    """Who comes in by a port, and so which rules are theirs."""

    # Other mail servers (RFC 5321).
    SMTP = auto()
    # People with an account (RFC 6409).
    SUBMISSION = auto()
    # A mail server of our own in front of us (RFC 2033).
    LMTP = auto()
    # Our own queue, where RELAY=mailbox ends: it sends no reports.
    MAILBOX = auto()


class Phase(Enum):
    """What we are waiting for, and so which timer runs."""

    COMMAND = auto()
    CONTENT = auto()


class Account(Protocol):
    """Whoever proved to be somebody with AUTH."""

    @property
    def name(self) -> str:
        """What the log calls them."""


@dataclass(slots=True)
class Client:
    """Who is on the other side, as far as they said and proved."""

    peer: str = ""
    helo: str = ""
    is_extended: bool = False
    is_secure: bool = False
    account: Account | None = None
    # EXPN is announced to those who may use it, and to nobody else.
    may_expand: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path we said yes to, and what it was resolved to."""

    path: Path
    route: object
    # RFC 3461 4: as they were given, "" when they were not.
    notify: str = ""
    orcpt: str = ""


@dataclass(slots=True)
class Transaction:
    """One message's envelope, and who brings it."""

    reverse_path: Path
    client: Client
    # RFC 3848 and RFC 6531 4.3: the `with` keyword of our Received field.
    protocol: str
    size: int = 0
    needs_8bit: bool = False
    needs_utf8: bool = False
    # RFC 3461 4: as they were given, "" when they were not.
    ret: str = ""
    envid: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    # Where each forward-path stands among them.
    places: dict[Path, int] = field(default_factory=dict)
    # For every RCPT that got a yes, which recipient it named: LMTP answers
    # each of them, and one may be named twice.
    answers: list[int] = field(default_factory=list)
    # How many forward-paths were refused.
    refused: int = 0
    # The content comes in by BDAT (RFC 3030): no DATA, no more recipients.
    is_chunked: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before going on: the client made mistakes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check name and password, then tell the session: `authenticated`."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class CheckSender:
    """Whether the account may send as this, then tell: `decided`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Decide:
    """Look the path up, then tell the session: `decided`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Verify:
    """Who is meant by these words, then tell the session: `decided`."""

    text: str


@dataclass(frozen=True, slots=True)
class Expand:
    """Who is on this list, then tell the session: `decided`."""

    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """So many octets of content follow the command (RFC 3030 2)."""

    size: int
    is_last: bool
    # They are read and thrown away, and this is the answer.
    refusal: Reply | None = None


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


# What has to be found out before a command can be answered.
Question = Authenticate | CheckSender | Decide | Verify | Expand
Action = Send | Pause | Question | Keep | Forget | Store | StartTLS | Close | More
