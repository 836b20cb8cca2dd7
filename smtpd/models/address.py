"""Every address we answer for: one space for lists and aliases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from smtpd.correction import CHOICES, Decision, decide
from smtpd.models.domain import Domain


class AddressQuerySet(models.QuerySet["Address"]):
    def named(self, mailbox: str) -> Self:
        """Those with this mailbox; an address is compared without case."""
        local_part, _, domain = mailbox.rpartition("@")
        return self.filter(local_part=local_part.lower(), domain__name=domain.lower())


class Address(models.Model):
    """One local part of one domain, and what mail to it means."""

    class Kind(models.TextChoices):
        # Mail goes to the list's moderation rules, then to its subscribers.
        LIST = "list", "List"
        # Mail goes on to the alias's targets, unchanged.
        ALIAS = "alias", "Alias"
        # The person has gone to another address.
        MOVED = "moved", "Moved"

    domain = models.ForeignKey(Domain, models.PROTECT, related_name="addresses")
    # Lower case, NFC. RFC 5321 2.4 lets us fold the case of our own local parts.
    local_part = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind)
    # A disabled address is refused and never falls into a catch-all.
    is_enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    # Only for MOVED: where the person is now.
    moved_to = models.CharField(max_length=320, blank=True)
    # What its senders hear. Empty: as the domain says.
    correction = models.CharField(max_length=7, blank=True, choices=CHOICES)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AddressQuerySet.as_manager()

    class Meta:
        ordering = ("local_part",)
        verbose_name_plural = "addresses"
        constraints = (
            models.UniqueConstraint("domain", "local_part", name="address_is_unique"),
            models.CheckConstraint(
                condition=models.Q(kind__in=("list", "alias", "moved")),
                name="address_kind_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="moved", moved_to=""),
                name="moved_has_an_address",
            ),
        )

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain.name}"

    @property
    def is_open(self) -> bool:
        """Whether it takes mail now: enabled and not past its last day."""
        return self.is_enabled and not self.is_expired

    @property
    def is_expired(self) -> bool:
        """Whether its last day is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def last_day(self) -> date | None:
        """The last day on which it takes mail, where the site is."""
        if self.expires_at is None:
            return None
        return timezone.localdate(self.expires_at - timedelta(microseconds=1))

    @property
    def decision(self) -> Decision:
        """What a sender hears when it has moved (RFC 5321 3.4), and why."""
        return decide(
            self.correction,
            self.domain.correction,
            settings.MOVED_POLICY,
            may_disclose=settings.MOVED_DISCLOSE,
        )
