"""What a mail program logs in with, in the name of a person."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models


class AppPasswordQuerySet(models.QuerySet["AppPassword"]):
    def good(self) -> Self:
        """Those that still open something."""
        return self.filter(revoked_at=None, user__is_active=True)


class AppPassword(models.Model):
    """One mail program of one person; taking it away leaves the others alone."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="app_passwords"
    )
    # What its owner calls the program: "Thunderbird on the laptop".
    name = models.CharField(max_length=60)
    # Of the password; it is shown once and kept by nobody. See submission.secrets.
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.GenericIPAddressField(null=True, blank=True)
    # Never deleted by its owner: the trace of a message may still name it.
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AppPasswordQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name
