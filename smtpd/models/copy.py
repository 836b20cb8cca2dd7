"""What RELAY=mailbox catches instead of sending it away."""

from __future__ import annotations

from django.db import models


class Copy(models.Model):
    """A copy as the recipient's server would have got it."""

    received_at = models.DateTimeField(auto_now_add=True, db_index=True)
    reverse_path = models.CharField(max_length=320, blank=True)
    forward_path = models.CharField(max_length=320, db_index=True)
    subject = models.TextField(blank=True)
    author = models.CharField(max_length=320, blank=True)
    size = models.PositiveIntegerField()
    raw = models.BinaryField()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "copies"

    def __str__(self) -> str:
        return f"{self.forward_path}: {self.subject}"
