"""What the sender of a message was told, or has to be."""

from __future__ import annotations

from typing import Self

from django.db import models

from smtpd.dsn import Action
from smtpd.models.delivery import Delivery
from smtpd.models.message import Message


class ReportQuerySet(models.QuerySet["Report"]):
    def owed(self) -> Self:
        """Those that somebody still has to send."""
        return self.filter(settled_at=None)


class Report(models.Model):
    """One piece of news about one address the sender wrote to, told once."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="reports")
    # As the sender wrote it: who is behind it is nobody's business.
    address = models.CharField(max_length=320)
    action = models.CharField(
        max_length=9, choices=[(action.value, action.value) for action in Action]
    )
    # Whose last reply it tells.
    delivery = models.ForeignKey(
        Delivery, models.CASCADE, null=True, blank=True, related_name="+"
    )
    # When it was queued, or found better not sent. None: it is owed.
    settled_at = models.DateTimeField(null=True, blank=True)
    # Of what was told: the same news of the same message is not told again soon.
    fingerprint = models.CharField(max_length=32, blank=True, db_default="", default="")

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                "message", "address", "action", name="report_is_told_once"
            ),
        )
        indexes = (
            models.Index(
                fields=("id",),
                condition=models.Q(settled_at=None),
                name="report_owed",
            ),
            models.Index(
                fields=("fingerprint",),
                condition=~models.Q(fingerprint=""),
                name="report_by_fingerprint",
            ),
        )

    def __str__(self) -> str:
        return f"{self.address}: {self.action}"
