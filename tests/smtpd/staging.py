"""A session without a network, and somebody who plays its driver."""

from __future__ import annotations

from dataclasses import dataclass, field

from smtpd import replies
from smtpd.listener.limits import Limits
from smtpd.listener.policies import Policy
from smtpd.listener.requests import (
    Authenticate,
    CheckSender,
    Client,
    Close,
    Decide,
    Expand,
    Forget,
    Keep,
    Kind,
    More,
    Pause,
    Send,
    StartTLS,
    Store,
    Transaction,
    Verify,
)
from smtpd.listener.session import Session
from smtpd.replies import Reply

SMALL = Limits(
    message_size=4096,
    command_line=512,
    command_garbage=100_000,
    text_line=512,
    recipients=3,
    errors=8,
)


@dataclass(frozen=True)
class Person:
    """Somebody who logged in."""

    name: str


@dataclass
class Stage:
    """Plays the driver: everybody at l.test exists, what is stored is kept."""

    limits: Limits = SMALL
    has_certificate: bool = False
    kind: Kind = Kind.SMTP
    is_secure: bool = False
    refusal: Reply | None = None
    # Domains about which the database says nothing now.
    unanswered: tuple[str, ...] = ()
    # Who decides in place of the site of l.test.
    policy: Policy | None = None
    said: bytearray = field(default_factory=bytearray)
    writes: list[bytes] = field(default_factory=list)
    stored: list[tuple[Transaction, bytes]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    # Replies of Store, when they are not all the same.
    answers: list[Reply] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.session = Session(
            hostname="mx.test",
            limits=self.limits,
            has_certificate=self.has_certificate,
            kind=self.kind,
            client=Client(is_secure=self.is_secure),
            refusal=self.refusal,
        )
        self.run()

    def say(self, *pieces: bytes) -> bytes:
        """Give the session octets; return what it answers."""
        before = len(self.said)
        for piece in pieces:
            if self.is_closed:
                break
            self.session.receive(piece)
            self.run()
        return bytes(self.said[before:])

    def run(self) -> None:
        while True:
            match self.session.next():
                case Send(data):
                    self.said += data
                    self.writes.append(data)
                case Pause(seconds):
                    self.pauses.append(seconds)
                case Authenticate(name, password):
                    is_right = password == "right"
                    found = Person(name) if is_right else replies.BAD_CREDENTIALS
                    self.session.authenticated(found, may_expand=name == "owner")
                case CheckSender(path):
                    is_own = path.domain == "c.test"
                    self.session.decided(
                        replies.SENDER_OK if is_own else replies.SENDER_NOT_ALLOWED
                    )
                case Verify(text):
                    self.session.decided(replies.OK.with_text(f"verified {text}"))
                case Expand(text):
                    self.session.decided(replies.OK.with_text(f"expanded {text}"))
                case Decide(path) if self.policy is not None:
                    client = self.session.state.client
                    self.session.decided(*self.policy.decide(path, client))
                case Store(transaction) if self.policy is not None:
                    raw = bytes(self.content)
                    self.content.clear()
                    self.session.stored(self.policy.take(transaction, raw))
                case Decide(path) if path.domain in self.unanswered:
                    self.session.decided(replies.TEMP_TROUBLE.fill(id="1"))
                case Decide(path):
                    is_known = path.domain in ("l.test", "")
                    self.session.decided(
                        replies.RCPT_OK if is_known else replies.RELAY_DENIED, path
                    )
                case Keep(data):
                    self.content += data
                case Forget():
                    self.content.clear()
                case Store(transaction):
                    self.stored.append((transaction, bytes(self.content)))
                    self.content.clear()
                    self.session.stored(self.answers or [replies.QUEUED.fill(key="k")])
                case StartTLS():
                    self.session.tls_started()
                case More():
                    return
                case Close():
                    self.is_closed = True
                    return


OPEN = b"EHLO c.test\r\nMAIL FROM:<sam@c.test>\r\nRCPT TO:<talk@l.test>\r\n"


def codes(said: bytes) -> list[str]:
    """The code and enhanced code of each last line of a reply."""
    lines = said.decode().split("\r\n")[:-1]
    return [" ".join(line.split()[:2]) for line in lines if line[3] == " "]


def send(content: bytes, stage: Stage | None = None) -> tuple[Stage, bytes]:
    """Send one message; return the answer to its end."""
    stage = stage or Stage()
    assert stage.say(OPEN + b"DATA\r\n").endswith(bytes(replies.GO_AHEAD))
    return stage, stage.say(content)
