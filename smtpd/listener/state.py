"""What a session knows between two commands. Pure."""

from __future__ import annotations

from smtpd.listener.auth import Exchange
from smtpd.listener.limits import Limits
from smtpd.listener.requests import Client, Kind, Recipient, Transaction
from smtpd.replies import Reply


class Refused(Exception):
    """A command that is answered with `reply` and changes nothing."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class State:
    """What the client has said of itself and of its message so far."""

    def __init__(
        self,
        *,
        hostname: str,
        limits: Limits,
        kind: Kind = Kind.SMTP,
        has_certificate: bool = False,
        client: Client | None = None,
    ) -> None:
        self.hostname = hostname
        self.limits = limits
        self.kind = kind
        self.has_certificate = has_certificate
        self.client = client or Client()
        # Refused by policy: 503 to everything but QUIT (RFC 5321 3.1).
        self.is_unwelcome = False
        # No message can be kept now; for how many octets there is room.
        self.is_full = False
        self.room = limits.spool_total
        # Recipients that were refused for good, whatever the message.
        self.refused = 0
        self.transaction: Transaction | None = None
        # The AUTH that waits for the client's next line.
        self.exchange: Exchange | None = None
        self.failed_logins = 0
        # MAIL and RCPT wait for an answer before they change anything.
        self.asked: Recipient | None = None
        self.asked_mail: Transaction | None = None

    @property
    def offers_auth(self) -> bool:
        """Whether names and passwords are taken here at all."""
        return self.kind is Kind.SUBMISSION

    @property
    def is_trusted(self) -> bool:
        """A server of ours asks, on behalf of everybody."""
        return self.kind in (Kind.LMTP, Kind.MAILBOX)

    @property
    def protocol(self) -> str:
        """The `with` keyword that fits (RFC 3848)."""
        if not self.client.is_extended:
            return "SMTP"
        word = "LMTP" if self.kind is Kind.LMTP else "ESMTP"
        secure = "S" if self.client.is_secure else ""
        return f"{word}{secure}{'A' if self.client.account else ''}"

    def tls_started(self) -> None:
        """RFC 3207 4.2: what was said in the clear is forgotten."""
        self.transaction = None
        self.client = Client(peer=self.client.peer, is_secure=True)
