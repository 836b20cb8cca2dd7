"""Who decides what a listener takes: the site, or the mailbox that catches all.

Both are called in a thread of the listener and may take their time; what
they raise becomes a 451.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.db import transaction

from smtpd import facts, intake, replies, routing
from smtpd.dsn import Wish
from smtpd.envelope import Envelope
from smtpd.fields import TooMany
from smtpd.listener.requests import Account, Client, Transaction
from smtpd.models import Copy
from smtpd.paths import Path
from smtpd.replies import Reply
from smtpd.routing import Route


class Policy:
    """Answers what has to be looked up; knows nobody and takes nothing by itself."""

    def authenticate(self, name: str, password: str, client: Client) -> Account | Reply:
        """Say who that is, or why not (RFC 4954)."""
        return replies.BAD_CREDENTIALS

    def check_sender(self, path: Path, client: Client) -> Reply:
        """Say whether the account may send as this (RFC 6409 6.1)."""
        return replies.SENDER_OK

    def decide(self, path: Path, client: Client) -> tuple[Reply, object]:
        """The reply to RCPT, and the route when it is positive; may run twice."""
        return replies.NO_SUCH_USER, None

    def verify(self, text: str, client: Client) -> Reply:
        """Answer VRFY of somebody who logged in (RFC 5321 3.5)."""
        return replies.CANNOT_VRFY

    def expand(self, text: str, client: Client) -> Reply:
        """Answer EXPN of somebody who logged in (RFC 5321 3.5)."""
        return replies.NOT_IMPLEMENTED

    def may_expand(self, client: Client) -> bool:
        """Whether there is anything they may expand."""
        return False

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        """Store a message; positive only when that stands with the commit.

        It may run in one transaction with others, and again without them.

        One reply, or one for each recipient where LMTP wants to know.
        """
        raise NotImplementedError


class Site(Policy):
    """The addresses of this site, as the database has them."""

    def __init__(self, *, answers_each: bool = False) -> None:
        # LMTP: whoever is in front tells each recipient's fate to the sender.
        self.answers_each = answers_each

    def decide(self, path: Path, client: Client) -> tuple[Reply, object]:
        """Ask the doors of the apps."""
        found = routing.resolve(path)
        if isinstance(found, Reply):
            return found, None
        return found.reply, found

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        """Judge and store it in one transaction."""
        found = envelope_of(envelope)
        if self.answers_each:
            return intake.accept_each(found, raw)
        return [intake.accept(found, raw)]


def envelope_of(transaction: Transaction) -> Envelope:
    """What intake wants to know of it."""
    recipients = transaction.recipients
    return Envelope(
        reverse_path=str(transaction.reverse_path),
        routes=[cast("Route", recipient.route) for recipient in recipients],
        forward_paths=[str(recipient.path) for recipient in recipients],
        wishes=[Wish(one.notify, one.orcpt) for one in recipients],
        ret=transaction.ret,
        envid=transaction.envid,
        needs_8bit=transaction.needs_8bit,
        needs_utf8=transaction.needs_utf8,
        peer=transaction.client.peer,
        helo=transaction.client.helo,
        protocol=transaction.protocol,
    )


class CatchAll(Policy):
    """Every address there is: RELAY=mailbox delivers here (see models.Copy)."""

    def decide(self, path: Path, client: Client) -> tuple[Reply, object]:
        """Say yes to anybody."""
        return replies.RCPT_OK, path

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
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
        with transaction.atomic(savepoint=False):
            Copy.objects.bulk_create(copies, batch_size=50)
        return [replies.KEPT]


def _shown(raw: bytes, envelope: Transaction) -> tuple[str, str]:
    """Subject and author for the mailbox page; nothing when there is no reading it."""
    try:
        read = facts.read(raw, reverse_path=str(envelope.reverse_path))
    except TooMany:
        return "", ""
    return read.subject, read.authors[0] if read.authors else ""
