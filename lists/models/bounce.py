"""Mail of ours that came back."""

from __future__ import annotations

from django.db import models

from lists.models.subscription import Subscription
from smtpd.correction import new_address
from smtpd.models import Delivery


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

    subscription = models.ForeignKey(
        Subscription, models.CASCADE, related_name="bounces"
    )
    delivery = models.OneToOneField(
        Delivery, models.SET_NULL, null=True, blank=True, related_name="bounce"
    )
    kind = models.CharField(max_length=9, choices=Kind)
    code = models.CharField(max_length=12, blank=True)
    text = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.kind} {self.code} {self.text}"

    @property
    def moved_to(self) -> str:
        """Where their server says that the person is now (RFC 5321 3.4), or nothing.

        For owners to read. Nothing is changed by it: it is a stranger's word.
        """
        address = self.subscription.subscriber.address
        return new_address(f"{self.code} {self.text}", address)
