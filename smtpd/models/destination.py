"""A next hop and how well it is doing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q

from smtpd.models.delivery import Delivery
from smtpd.queue.schedule import Allowance


class DestinationQuerySet(models.QuerySet["Destination"]):
    def special(self) -> Self:
        """Those that a worker must know of before it sends."""
        has_limit = ~Q(most_connections=None, most_copies=None)
        return self.filter(has_limit | Q(slowdowns__gt=0))

    def troubled(self) -> Self:
        """Held by somebody, or failing; the latest trouble first."""
        found = self.filter(Q(failures__gt=0) | Q(held_at__isnull=False))
        return found.order_by("-last_failure_at")

    def forgotten(self, since: datetime) -> Self:
        """Without limits, mail or trouble since then."""
        waiting = Delivery.objects.waiting().filter(destination=OuterRef("name"))
        is_quiet = Q(last_failure_at=None) | Q(last_failure_at__lt=since)
        is_free = Q(backoff_until=None) | Q(backoff_until__lt=since)
        return self.filter(
            is_quiet,
            is_free,
            ~Exists(waiting),
            most_connections=None,
            most_copies=None,
            held_at=None,
        )


class Destination(models.Model):
    """Whom we talk to, and whether to leave them alone for a while."""

    class Period(models.IntegerChoices):
        MINUTE = 60, "a minute"
        HOUR = 3600, "an hour"
        DAY = 86400, "a day"

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

    # What an admin of the site allows it; None: as everybody. Of all processes on
    # all machines together.
    most_connections = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    most_copies = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    period = models.PositiveIntegerField(
        choices=Period, default=Period.MINUTE, db_default=Period.MINUTE
    )
    # How far the copies taken so far use up the time.
    spent_until = models.DateTimeField(null=True, blank=True)
    # What has a limit is served by one process at a time: which, and how long.
    served_by = models.CharField(max_length=32, blank=True, db_default="", default="")
    served_until = models.DateTimeField(null=True, blank=True)
    # Times in a row that it asked us to be slower and got a rest.
    slowdowns = models.PositiveIntegerField(default=0, db_default=0)

    objects = DestinationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_limited(self) -> bool:
        return bool(self.most_connections or self.most_copies)

    @property
    def allowance(self) -> Allowance | None:
        """How many copies it may get."""
        if not self.most_copies:
            return None
        return Allowance(self.most_copies, timedelta(seconds=self.period))
