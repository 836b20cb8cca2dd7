"""What happened to a message, one row a step."""

from __future__ import annotations

from django.db import models

from smtpd.models.message import Message


class Event(models.Model):
    """One line of a message's trace, in the words of a person."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    # received, accepted, held, refused, discarded, approved, rejected,
    # expanded, frozen, bounced, kept: a word to filter by.
    kind = models.CharField(max_length=16)
    text = models.TextField()

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
