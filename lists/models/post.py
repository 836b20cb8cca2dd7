"""A message to a list, and what became of it."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from lists.models.mailing_list import MailingList
from smtpd.models import Message, Outgoing


class PostQuerySet(models.QuerySet["Post"]):
    def held(self) -> Self:
        """Waiting for a moderator, the oldest first."""
        return self.filter(state=Post.State.HELD).order_by("created_at", "id")

    def to_fan_out(self) -> Self:
        """Accepted, and their recipients not frozen yet."""
        return self.filter(state=Post.State.ACCEPTED, fanned_out_at=None)


class Post(models.Model):
    """One message on one list."""

    class State(models.TextChoices):
        # Waiting for a moderator.
        HELD = "held", "Held"
        # On its way to the subscribers, or already there.
        ACCEPTED = "accepted", "Accepted"
        # Sent back by a moderator, with a reason.
        REJECTED = "rejected", "Rejected"
        # Dropped by a moderator; nobody was told.
        DISCARDED = "discarded", "Discarded"

    ALLOWED: dict[str, frozenset[str]] = {
        State.HELD: frozenset({State.ACCEPTED, State.REJECTED, State.DISCARDED}),
    }

    # Found by the constraint's index below.
    mailing_list = models.ForeignKey(
        MailingList, models.CASCADE, related_name="posts", db_index=False
    )
    message = models.ForeignKey(Message, models.CASCADE, related_name="posts")
    state = models.CharField(max_length=9, choices=State)
    # Why it was held, one sentence each, in the words of a person.
    reasons = models.JSONField(default=list)
    # The duplicate guard: one Message-ID, one post a list.
    msg_id = models.CharField(max_length=998)
    # The address it is from, as the header says.
    author = models.CharField(max_length=320, blank=True)
    author_name = models.CharField(max_length=200, blank=True)
    subject = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        # Every post pays for an index, and people seldom leave.
        db_index=False,
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    # What the author was told when it was rejected.
    decision = models.TextField(blank=True)
    # Compiled once, before the recipients are frozen.
    outgoing = models.OneToOneField(
        Outgoing, models.SET_NULL, null=True, blank=True, related_name="post"
    )
    fanned_out_at = models.DateTimeField(null=True, blank=True)
    recipients = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(
                "mailing_list", "msg_id", name="post_is_unique_on_its_list"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=("held", "accepted", "rejected", "discarded")
                ),
                name="post_state_is_known",
            ),
        )
        indexes = (
            # The state first: else a planner that takes the table for small
            # reads all posts of a list to find one Message-ID.
            models.Index(
                fields=("state", "mailing_list"), name="post_by_state_and_list"
            ),
            models.Index(
                fields=("created_at",),
                condition=models.Q(state="accepted", fanned_out_at=None),
                name="post_to_fan_out",
            ),
        )

    def __str__(self) -> str:
        return self.subject or self.msg_id

    def move(self, to: str, *, by: object = None, decision: str = "") -> bool:
        """Go to another state if nobody else was faster.

        Return False when the row had already left the state we saw: the
        second mover changes nothing.
        """
        before = self.state
        if to not in self.ALLOWED.get(before, frozenset()):
            return False
        changes = {
            "state": to,
            "decided_by": by,
            "decided_at": timezone.now(),
            "decision": decision,
        }
        moved = Post.objects.filter(pk=self.pk, state=before).update(**changes)
        if moved:
            for name, value in changes.items():
                setattr(self, name, value)
        return bool(moved)
