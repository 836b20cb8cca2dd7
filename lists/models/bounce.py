"""Mail of ours that came back."""

from __future__ import annotations

from typing import Self

from django.db import models

from lists.models.subscription import Subscription
from lists.models.wave import Wave
from smtpd.correction import new_address
from smtpd.models import Delivery
from smtpd.outbound.failures import WORDS, Failure


class BounceQuerySet(models.QuerySet["Bounce"]):
    def fresh(self) -> Self:
        """Those that may still turn out to be part of a wave."""
        return self.filter(standing=Bounce.Standing.FRESH)

    def against_members(self) -> Self:
        """Those that say something against the address."""
        return self.filter(kind__in=(Bounce.Kind.HARD, Bounce.Kind.SOFT))


class Bounce(models.Model):
    """One delivery that failed at its recipient; counted at most once."""

    class Kind(models.TextChoices):
        # The address does not work: one point.
        HARD = "hard", "Hard"
        # Full or unreachable for long: half a point.
        SOFT = "soft", "Soft"
        # The message or we ourselves were refused: never the member's fault.
        POLICY = "policy", "Policy"
        # The recipient pressed "spam" (RFC 5965).
        COMPLAINT = "complaint", "Complaint"
        # Came to a bounce address and is not a report: a vacation notice.
        UNKNOWN = "unknown", "Not a report"

    class Standing(models.TextChoices):
        # It says nothing against the member.
        FREE = "free", "Not counted"
        # Waits for an hour: it may not be the only one.
        FRESH = "fresh", "Not counted yet"
        # Part of a wave: a person decides.
        HELD = "held", "One of many: not counted yet"
        COUNTED = "counted", "Counted"
        FORGIVEN = "forgiven", "One of many: forgiven"

    subscription = models.ForeignKey(
        Subscription, models.CASCADE, related_name="bounces"
    )
    delivery = models.OneToOneField(
        Delivery, models.SET_NULL, null=True, blank=True, related_name="bounce"
    )
    kind = models.CharField(max_length=9, choices=Kind)
    code = models.CharField(max_length=12, blank=True)
    text = models.CharField(max_length=500, blank=True)
    # Why it was not taken: a Failure; empty for what is no refusal.
    failure = models.CharField(max_length=8, blank=True, db_default="", default="")
    standing = models.CharField(
        max_length=8, choices=Standing, default=Standing.COUNTED
    )
    wave = models.ForeignKey(
        Wave, models.SET_NULL, null=True, blank=True, related_name="bounces"
    )
    at = models.DateTimeField(auto_now_add=True)

    objects = BounceQuerySet.as_manager()

    class Meta:
        ordering = ("-at",)
        indexes = (
            models.Index(
                fields=("at",),
                condition=models.Q(standing="fresh"),
                name="bounce_fresh",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.code} {self.text}"

    @property
    def why(self) -> str:
        """Why it was not taken, in the words of a person."""
        return WORDS[Failure(self.failure)] if self.failure else ""

    @property
    def words(self) -> str:
        """The same with what their server said, for a person to read."""
        said = f"{self.code} {self.text}".strip()
        return ": ".join(filter(None, (self.why, said)))[:500]

    @property
    def moved_to(self) -> str:
        """Where their server says that the person is now (RFC 5321 3.4), or nothing.

        For owners to read. Nothing is changed by it: it is a stranger's word.
        """
        address = self.subscription.subscriber.address
        return new_address(f"{self.code} {self.text}", address)
