"""A wish to join or leave that waits for its author's confirmation."""

from __future__ import annotations

from django.db import models

from lists.models.mailing_list import MailingList


class Request(models.Model):
    """Done only when the owner of the address answers our mail."""

    class Kind(models.TextChoices):
        JOIN = "join", "Join"
        LEAVE = "leave", "Leave"

    kind = models.CharField(max_length=5, choices=Kind)
    mailing_list = models.ForeignKey(
        MailingList, models.CASCADE, related_name="requests"
    )
    address = models.CharField(max_length=320)
    folded = models.CharField(max_length=320, db_index=True)
    name = models.CharField(max_length=100, blank=True)
    # Evidence of consent: from where it was asked, and when answered.
    asked_from = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.kind} {self.mailing_list}: {self.address}"
