"""A next hop and how well it is doing."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models

# Later than any worker lives, and what both databases can hold.
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Destination(models.Model):
    """Whom we talk to, and whether to leave them alone for a while."""

    # `relay`, or a domain: what Delivery.destination says.
    name = models.CharField(max_length=255, unique=True)
    # No attempt before this time; set after trouble with the host itself.
    backoff_until = models.DateTimeField(null=True, blank=True)
    # Failures in a row of the host, not of one recipient.
    failures = models.PositiveIntegerField(default=0)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_failure = models.CharField(max_length=500, blank=True)
    # At which stage, and with which code; None: there was no reply.
    stage = models.CharField(max_length=8, blank=True, db_default="", default="")
    code = models.PositiveSmallIntegerField(null=True, blank=True)
    # A person said that nothing goes there until somebody lets it: backoff_until
    # is FOREVER then, so that workers need to look at one column only.
    held_at = models.DateTimeField(null=True, blank=True)
    held_by = models.CharField(max_length=254, blank=True, db_default="", default="")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
