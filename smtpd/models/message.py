"""A message we said 250 to, or wrote ourselves, byte for byte."""

from __future__ import annotations

import secrets
from typing import Self

from django.conf import settings
from django.db import models

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def make_key() -> str:
    """A fresh name for a message: what `queued as` says and the log greps."""
    # 32 letters: five bits of an octet choose one, none more often than another.
    return "".join(ALPHABET[octet & 31] for octet in secrets.token_bytes(12))


class MessageQuerySet(models.QuerySet["Message"]):
    def light(self) -> Self:
        """Without the bytes: for every page that only names messages."""
        return self.defer("raw", "trace")


class Message(models.Model):
    """The raw bytes once, the envelope they came in, and who brought them."""

    class Source(models.TextChoices):
        # Came in over SMTP.
        SMTP = "smtp", "SMTP"
        # Written by the site itself: a confirmation, a notice.
        SITE = "site", "Site"
        # Written by a person on a page (RFC 5321 3.7).
        WEB = "web", "Web"

    key = models.CharField(max_length=16, default=make_key)
    source = models.CharField(max_length=4, choices=Source, default=Source.SMTP)
    received_at = models.DateTimeField(auto_now_add=True, db_index=True)
    # The envelope. An empty reverse-path is the null one (RFC 5321 4.5.5).
    reverse_path = models.CharField(max_length=320, blank=True)
    # The forward-paths we said 250 to, in the order they came.
    forward_paths = models.JSONField(default=list)
    # Read from the header section, for people; never trusted for rights.
    msg_id = models.CharField(max_length=998, blank=True)
    subject = models.TextField(blank=True)
    author = models.CharField(max_length=320, blank=True)
    # Who brought it.
    peer = models.GenericIPAddressField(null=True, blank=True)
    helo = models.CharField(max_length=255, blank=True)
    # Whose account it was submitted with; nobody's when a server brought it.
    submitter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        # Every message pays for an index, and people seldom leave.
        db_index=False,
    )
    # The `with` keyword of our Received field (RFC 3848): ESMTP, ESMTPS...
    protocol = models.CharField(max_length=16, blank=True)
    # Asked for with MAIL; the next hop must be able to do the same.
    needs_8bit = models.BooleanField(default=False)
    needs_utf8 = models.BooleanField(default=False)
    # RFC 3461 4.3 and 4.4, as they were given: how much of it a report returns,
    # and the name by which its sender knows it.
    ret = models.CharField(max_length=4, blank=True)
    envid = models.CharField(max_length=100, blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    # Where the body begins in raw, behind the empty line.
    body_at = models.PositiveIntegerField()
    # Our own Received field, to be put before raw when it goes on.
    trace = models.BinaryField(default=b"")
    raw = models.BinaryField()

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-id")
        indexes = (models.Index(fields=("msg_id",), name="message_by_msg_id"),)
        # Not `unique=True`, which brings a second index for patterns along.
        constraints = (models.UniqueConstraint("key", name="message_key_is_unique"),)

    def __str__(self) -> str:
        return self.key

    @property
    def head(self) -> bytes:
        """The header fields as they came, without the empty line behind them."""
        head = bytes(self.raw)[: self.body_at]
        if head == b"\r\n" or head.endswith(b"\r\n\r\n"):
            head = head[:-2]
        return head
