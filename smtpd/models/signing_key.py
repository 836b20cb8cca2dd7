"""A key of a domain beside the one that signs: the next one, or a former one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from smtpd.models.domain import Domain

# After the switch workers sign compiled messages with the old key for up to ten
# minutes; then a copy may wait for a week in other servers' queues.
_SIGNS_ON = timedelta(minutes=15)
_ON_THE_WAY = timedelta(days=7)


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    def in_dns(self) -> Self:
        """Those whose record belongs in DNS now."""
        kept = Q(
            state="former", stopped_at__gt=timezone.now() - _SIGNS_ON - _ON_THE_WAY
        )
        return self.filter(kept | Q(state__in=("next", "revoked")))

    def remembered(self) -> Self:
        """Those a person still has something to do about."""
        return self.exclude(state="gone")


class SigningKey(models.Model):
    """Keeps its selector taken for ever: one name never means two keys."""

    class State(models.TextChoices):
        # Made, not used: its record has to be in DNS first.
        NEXT = "next", "Next"
        # Signs no more; mail it signed may still be on the way.
        FORMER = "former", "Former"
        # In wrong hands: DNS has to say that it counts no more.
        REVOKED = "revoked", "Revoked"
        # Its record is deleted; only the selector is remembered.
        GONE = "gone", "Gone"

    domain = models.ForeignKey(Domain, models.CASCADE, related_name="signing_keys")
    selector = models.CharField(max_length=63)
    # PEM, PKCS 8. Only a next key has one: who signs no more needs none.
    pem = models.TextField(blank=True)
    # The value of its key record.
    public = models.TextField()
    state = models.CharField(max_length=7, choices=State, default=State.NEXT)
    made_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        ordering = ("made_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=("domain", "selector"), name="one_key_per_selector"
            ),
            models.UniqueConstraint(
                fields=("domain",), condition=Q(state="next"), name="one_next_key"
            ),
            models.CheckConstraint(
                condition=Q(state="next") | Q(pem=""), name="only_next_keys_are_private"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey.{self.domain.name}"

    @property
    def record(self) -> str:
        """What DNS should say; a revoked key is an empty one (RFC 6376 3.6.1)."""
        return "v=DKIM1; p=" if self.state == self.State.REVOKED else self.public

    @property
    def removable_at(self) -> datetime | None:
        """When nothing it signed is on the way any more; None: it may still sign."""
        return self.stopped_at and self.stopped_at + _SIGNS_ON + _ON_THE_WAY

    @property
    def is_removable(self) -> bool:
        at = self.removable_at
        return at is not None and at <= timezone.now()
