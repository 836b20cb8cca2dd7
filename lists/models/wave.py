"""Many copies that failed at once: nobody is counted for it until a person decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from lists.models.post import Post

# After that it is forgiven by itself, and the next one is a wave of its own.
UNDECIDED_FOR = timedelta(days=7)


class WaveQuerySet(models.QuerySet["Wave"]):
    def open(self) -> Self:
        """Those that nobody has decided about."""
        return self.filter(decision="")

    def stale(self) -> Self:
        return self.open().filter(opened_at__lt=timezone.now() - UNDECIDED_FOR)


class Wave(models.Model):
    """Failures of one post, or at one domain, that hold each other back."""

    class Decision(models.TextChoices):
        OPEN = "", "Nobody has decided"
        # It was their server's fault, or ours.
        FORGIVEN = "forgiven", "Forgiven"
        # These mailboxes are really gone.
        COUNTED = "counted", "Counted"

    # One of both.
    post = models.ForeignKey(
        Post, models.CASCADE, null=True, blank=True, related_name="waves"
    )
    domain = models.CharField(max_length=255, blank=True)
    # Copies of the post, or people at the domain: failed, and all there are.
    failed = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    opened_at = models.DateTimeField(auto_now_add=True)
    decision = models.CharField(
        max_length=8, choices=Decision, default=Decision.OPEN, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )

    objects = WaveQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("post",),
                condition=models.Q(decision=""),
                name="wave_is_one_a_post",
            ),
            models.UniqueConstraint(
                fields=("domain",),
                condition=models.Q(decision="", post=None),
                name="wave_is_one_a_domain",
            ),
        )

    def __str__(self) -> str:
        return self.domain or str(self.post)

    def decide(self, decision: str, *, by: object = None) -> bool:
        """Close it unless somebody was faster; the second changes nothing."""
        now = timezone.now()
        return bool(
            Wave.objects.open()
            .filter(pk=self.pk)
            .update(decision=decision, decided_at=now, decided_by=by)
        )
