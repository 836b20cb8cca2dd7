"""Who is on which list, as what, and how they want their mail."""

from __future__ import annotations

from typing import Self

from django.db import models

from lists.models.mailing_list import MailingList
from lists.models.subscriber import Subscriber


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def receiving(self) -> Self:
        """Those who get a copy of each post now."""
        return self.filter(mode=Subscription.Mode.EACH, suspended_by="")

    def staff(self) -> Self:
        """Owners and moderators."""
        return self.exclude(role=Subscription.Role.MEMBER)

    def owners(self) -> Self:
        return self.filter(role=Subscription.Role.OWNER)


class Subscription(models.Model):
    """One subscriber on one list."""

    class Role(models.TextChoices):
        MEMBER = "member", "Member"
        # Decides about held posts.
        MODERATOR = "moderator", "Moderator"
        # Decides about everything.
        OWNER = "owner", "Owner"

    class Mode(models.TextChoices):
        EACH = "each", "Each message"
        DIGEST = "digest", "Digest"
        # On the list, may post, gets nothing.
        NONE = "none", "No mail"

    class Posting(models.TextChoices):
        # As the list's own rule says.
        DEFAULT = "default", "As the list says"
        ALLOWED = "allowed", "Always allowed"
        HELD = "held", "Always held"

    class SuspendedBy(models.TextChoices):
        NOBODY = "", "Nobody"
        # Their mail came back too often; a link in a notice resumes it.
        BOUNCES = "bounces", "Bounces"
        # A pause of their own.
        MEMBER = "member", "The member"
        OWNER = "owner", "An owner"

    mailing_list = models.ForeignKey(
        MailingList, models.CASCADE, related_name="subscriptions"
    )
    subscriber = models.ForeignKey(
        Subscriber, models.CASCADE, related_name="subscriptions"
    )
    role = models.CharField(max_length=9, choices=Role, default=Role.MEMBER)
    mode = models.CharField(max_length=6, choices=Mode, default=Mode.EACH)
    posting = models.CharField(max_length=7, choices=Posting, default=Posting.DEFAULT)
    suspended_by = models.CharField(
        max_length=7, choices=SuspendedBy, default=SuspendedBy.NOBODY, blank=True
    )
    suspended_at = models.DateTimeField(null=True, blank=True)
    joined_at = models.DateTimeField(auto_now_add=True)
    # Half points: a hard bounce is two, a soft one is one, once a day.
    bounce_score = models.PositiveSmallIntegerField(default=0)
    last_bounce_on = models.DateField(null=True, blank=True)
    last_bounce = models.CharField(max_length=500, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ("subscriber__folded",)
        constraints = (
            models.UniqueConstraint(
                "mailing_list", "subscriber", name="subscription_is_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.subscriber} on {self.mailing_list}"
