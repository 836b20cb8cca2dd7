"""Many members at once, added by a worker."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from lists.models.mailing_list import MailingList


class MemberImport(models.Model):
    """A pasted text or CSV file, and how far the worker has come with it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    mailing_list = models.ForeignKey(
        MailingList, models.CASCADE, related_name="imports"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    text = models.TextField()
    # Only say what would happen; change nothing.
    is_dry_run = models.BooleanField(default=True)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    # Lines in all, and lines done.
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    present = models.PositiveIntegerField(default=0)
    # What could not be added: [line number, line, why], at most 200.
    problems = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.mailing_list}: {self.done} of {self.total}"
