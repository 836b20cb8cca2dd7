"""A wish to join or leave that waits for its author's confirmation."""

from __future__ import annotations

from django.db import models

from lists.models.mailing_list import MailingList


class Request(models.Model):
    """Done only when the owner of the address answers our mail."""

    class Kind(models.TextChoices):
        JOIN = "join", "Join"
        LEAVE = "leave", "Leave"
        # Not a wish: somebody wrote to us and was told how lists work.
        HELP = "help", "Help"

    kind = models.CharField(max_length=5, choices=Kind)
    mailing_list = models.ForeignKey(
        MailingList, models.CASCADE, related_name="requests"
    )
    address = models.CharField(max_length=320)
    # Lower case, without a plus tag and the dots Gmail ignores: what the
    # limits on our own mail count.
    folded = models.CharField(max_length=320, db_index=True)
    name = models.CharField(max_length=100, blank=True)
    # Evidence of consent: from where it was asked, and when answered.
    asked_from = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        # How many one source asked for lately.
        indexes = (
            models.Index(fields=("asked_from", "created_at"), name="request_by_source"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.mailing_list}: {self.address}"
