"""One message on its way out, compiled once for all its recipients."""

from __future__ import annotations

from django.db import models

from smtpd.dsn import Wish
from smtpd.models.domain import Domain
from smtpd.models.message import Message

# What is known of rows that are no longer kept.
TALLY = (
    "pruned_sent",
    "pruned_failed",
    "pruned_cancelled",
    "first_sent_at",
    "last_sent_at",
)


class Outgoing(models.Model):
    """What every copy of one message shares, and where copies differ.

    A copy is head + copy_head + DKIM-Signature + empty line + body. In
    copy_head each `{token}` becomes the recipient's own unsubscribe token,
    and in the body the token is inserted at each offset of body_splices.
    """

    class Lane(models.IntegerChoices):
        # Somebody is waiting: confirmations, notices, alias mail.
        FAST = 0, "Fast"
        # Posts to lists.
        BULK = 1, "Bulk"

    class Envelope(models.TextChoices):
        # reverse_path as it stands, for every copy; empty is the null path.
        FIXED = "fixed", "Fixed"
        # bounces+<token of the delivery>@reverse_path, each copy its own.
        VERP = "verp", "VERP"

    message = models.ForeignKey(Message, models.CASCADE, related_name="outgoings")
    lane = models.PositiveSmallIntegerField(choices=Lane)
    envelope = models.CharField(max_length=5, choices=Envelope)
    # A mailbox or nothing when FIXED, a domain when VERP.
    reverse_path = models.CharField(max_length=320, blank=True)
    # The address of ours that passed it on, as the sender wrote it: a report
    # names it, and not who is behind it. Empty: the sender named the recipient.
    forward_path = models.CharField(max_length=320, blank=True)
    # What the next server shall tell the sender of it (RFC 3461 4.1, 4.2).
    notify = models.CharField(max_length=24, blank=True)
    orcpt = models.CharField(max_length=500, blank=True)
    # Whole header fields, each with its CRLF, without the empty line.
    head = models.BinaryField()
    # More header fields, with {token} for the recipient's own.
    copy_head = models.BinaryField(default=b"")
    # None: the body of the message itself, from its body_at on.
    body = models.BinaryField(null=True)
    # Offsets in the body, ascending, where the token is inserted.
    body_splices = models.JSONField(default=list)
    needs_8bit = models.BooleanField(default=False)
    needs_utf8 = models.BooleanField(default=False)
    # Whose key signs the copies; None: they are not signed.
    dkim_domain = models.ForeignKey(Domain, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # What the rows of the ledger said that are no longer kept, and when all of
    # them and the bytes above were gone.
    pruned_sent = models.PositiveIntegerField(default=0)
    pruned_failed = models.PositiveIntegerField(default=0)
    pruned_cancelled = models.PositiveIntegerField(default=0)
    first_sent_at = models.DateTimeField(null=True)
    last_sent_at = models.DateTimeField(null=True)
    pruned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "outgoing message"
        indexes = (
            models.Index(
                fields=("created_at",),
                condition=models.Q(pruned_at=None),
                name="outgoing_to_prune",
            ),
            # The sweep looks for senders who want to hear of a delay.
            models.Index(
                fields=("created_at",),
                condition=~models.Q(notify=""),
                name="outgoing_asked",
            ),
        )

    def __str__(self) -> str:
        return f"{self.message} ({self.get_lane_display()})"

    @property
    def pruned(self) -> dict[str, int]:
        """How many rows that are gone were in each state that occurred."""
        counts = {
            "sent": self.pruned_sent,
            "failed": self.pruned_failed,
            "cancelled": self.pruned_cancelled,
        }
        return {state: count for state, count in counts.items() if count}

    @property
    def wish(self) -> Wish:
        """What its sender wants to hear."""
        return Wish(self.notify, self.orcpt)
