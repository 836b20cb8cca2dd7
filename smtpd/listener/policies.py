"""Who decides what a listener takes: the site, or the mailbox that catches all.

Both are called in a thread of the listener and may take their time; what
they raise becomes a 451.
"""

from __future__ import annotations

from typing import Protocol, cast

from django.db import transaction

from smtpd import facts, intake, replies, routing
from smtpd.fields import TooMany
from smtpd.intake import Envelope
from smtpd.listener.requests import Transaction
from smtpd.models import Copy
from smtpd.paths import Path
from smtpd.replies import Reply
from smtpd.routing import Route


class Policy(Protocol):
    """Answers RCPT and the end of DATA."""

    def decide(self, path: Path) -> tuple[Reply, object]:
        """The reply to RCPT, and the route when it is positive; may run twice."""

    def take(self, envelope: Transaction, peer: str, raw: bytes) -> Reply:
        """Store a message; positive only when it is on stable storage."""


class Site:
    """The addresses of this site, as the database has them."""

    def decide(self, path: Path) -> tuple[Reply, object]:
        """Ask the doors of the apps."""
        found = routing.resolve(path)
        if isinstance(found, Reply):
            return found, None
        return replies.RCPT_OK, found

    def take(self, envelope: Transaction, peer: str, raw: bytes) -> Reply:
        """Judge and store it in one transaction."""
        recipients = envelope.recipients
        return intake.accept(
            Envelope(
                reverse_path=str(envelope.reverse_path),
                routes=[cast("Route", recipient.route) for recipient in recipients],
                forward_paths=[str(recipient.path) for recipient in recipients],
                needs_8bit=envelope.needs_8bit,
                needs_utf8=envelope.needs_utf8,
                peer=peer,
                helo=envelope.helo,
                protocol=envelope.protocol,
            ),
            raw,
        )


class CatchAll:
    """Every address there is: RELAY=mailbox delivers here (see models.Copy)."""

    def decide(self, path: Path) -> tuple[Reply, object]:
        """Say yes to anybody."""
        return replies.RCPT_OK, path

    def take(self, envelope: Transaction, peer: str, raw: bytes) -> Reply:
        """Keep one copy for each recipient."""
        subject, author = _shown(raw, envelope)
        copies = [
            Copy(
                reverse_path=str(envelope.reverse_path),
                forward_path=str(recipient.path),
                subject=subject,
                author=author[:320],
                size=len(raw),
                raw=raw,
            )
            for recipient in envelope.recipients
        ]
        with transaction.atomic(durable=True):
            Copy.objects.bulk_create(copies, batch_size=50)
        return replies.KEPT


def _shown(raw: bytes, envelope: Transaction) -> tuple[str, str]:
    """Subject and author for the mailbox page; nothing when there is no reading it."""
    try:
        read = facts.read(raw, reverse_path=str(envelope.reverse_path))
    except TooMany:
        return "", ""
    return read.subject, read.authors[0] if read.authors else ""
