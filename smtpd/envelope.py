"""What a session learned of a message before its content (RFC 5321 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from smtpd.dsn import Wish
from smtpd.models import Message
from smtpd.routing import Route


@dataclass
class Envelope:
    """What the session learned before DATA."""

    reverse_path: str
    # What each accepted forward-path resolved to, and how it was written.
    routes: list[Route] = field(default_factory=list)
    forward_paths: list[str] = field(default_factory=list)
    # What the sender wants to hear of each of them; none: of nobody anything.
    wishes: list[Wish] = field(default_factory=list)
    # RFC 3461 4.3 and 4.4.
    ret: str = ""
    envid: str = ""
    needs_8bit: bool = False
    needs_utf8: bool = False
    peer: str = ""
    helo: str = ""
    # RFC 3848: SMTP, ESMTP, ESMTPS.
    protocol: str = "ESMTP"
    # A word of Message.Source.
    source: str = Message.Source.SMTP
    # The user who proved to be the author; None for whoever a server speaks for.
    submitter: int | None = None
