"""How many copies a worker got rid of in a few seconds."""

from __future__ import annotations

from django.db import models


class Pace(models.Model):
    """One look of one worker at its own speed; kept for an hour."""

    at = models.DateTimeField()
    sent = models.PositiveIntegerField()

    class Meta:
        ordering = ("-at",)
        verbose_name_plural = "pace"

    def __str__(self) -> str:
        return f"{self.sent} until {self.at:%H:%M:%S}"
