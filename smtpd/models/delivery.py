"""The ledger: one row for each recipient of each outgoing message."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models

from smtpd.models.outgoing import Outgoing
from smtpd.outbound.failures import WORDS, Failure
from smtpd.queue.schedule import FOREVER


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Those not yet at an end, due or not."""
        return self.filter(state=Delivery.State.QUEUED)

    def blocked(self) -> Self:
        """Waiting until somebody has made the next server like us again."""
        return self.waiting().filter(failure=Failure.BLOCKED)

    def by_state(self) -> dict[str, int]:
        """How many there are in each state that occurs."""
        rows = self.order_by().values_list("state").annotate(n=models.Count("id"))
        return dict(rows)


class Delivery(models.Model):
    """One copy for one recipient, and how far it has come.

    A row is due when it is QUEUED and next_attempt_at has passed. A worker
    takes it by moving next_attempt_at past its lease, so a row whose worker
    died is due again by itself.
    """

    class State(models.TextChoices):
        # Waiting for its first or next attempt, or in a worker's hands.
        QUEUED = "queued", "Waiting"
        # The next server said 250: it is theirs now.
        SENT = "sent", "Sent"
        # Refused for good, or given up after days of trying.
        FAILED = "failed", "Failed"
        # An operator stopped it; can be queued again.
        HELD = "held", "On hold"
        # Withdrawn before it was sent.
        CANCELLED = "cancelled", "Cancelled"
        # Three workers took it and none came back: a person must look.
        QUARANTINED = "quarantined", "Quarantined"

    outgoing = models.ForeignKey(Outgoing, models.CASCADE, related_name="deliveries")
    address = models.CharField(max_length=320)
    # What the app that queued it calls the recipient: a subscription's id.
    ref = models.BigIntegerField(null=True, blank=True)
    # The next hop: `relay`, or a domain.
    destination = models.CharField(max_length=255)
    lane = models.PositiveSmallIntegerField(choices=Outgoing.Lane)
    state = models.CharField(max_length=11, choices=State, default=State.QUEUED)
    # Counted before the first byte is sent.
    attempts = models.PositiveSmallIntegerField(default=0)
    # Claims in a row that no worker finished.
    claims = models.PositiveSmallIntegerField(default=0)
    # Attempts that ended between our final dot and the reply: a second copy
    # is possible for each.
    ambiguous = models.PositiveSmallIntegerField(default=0)
    # Its position in line as well: rows of a new message get one in the past.
    next_attempt_at = models.DateTimeField()
    # Who has it: only the holder of the lease may record a result.
    lease = models.BigIntegerField(null=True, blank=True)
    # The last reply: 250, 2.0.0, its text, and who said it.
    code = models.PositiveSmallIntegerField(null=True, blank=True)
    enhanced = models.CharField(max_length=12, blank=True, default="")
    text = models.CharField(max_length=500, blank=True, default="")
    host = models.CharField(max_length=255, blank=True, default="")
    # Why it was not taken at the last attempt: a Failure.
    failure = models.CharField(max_length=8, blank=True, db_default="", default="")
    updated_at = models.DateTimeField()

    # Until when its destination is left alone, where somebody has asked: see
    # `smtpd.selection.tell_rests`.
    rests_until: datetime | None = None

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(
                fields=("destination", "lane", "next_attempt_at"),
                condition=models.Q(state="queued"),
                name="delivery_due",
            ),
            # Somebody waits for these, whatever else is queued.
            models.Index(
                fields=("next_attempt_at",),
                condition=models.Q(state="queued", lane=0),
                name="delivery_fast",
            ),
            # The sweep looks for failures nobody was told of.
            models.Index(
                fields=("updated_at",),
                condition=models.Q(state="failed"),
                name="delivery_failed",
            ),
            # Who does not want us at all is for an operator to see.
            models.Index(
                fields=("destination",),
                condition=models.Q(state="queued", failure="blocked"),
                name="delivery_blocked",
            ),
            # What a person has to decide about; no copy passes through here.
            models.Index(
                fields=("destination",),
                condition=models.Q(state__in=("held", "quarantined")),
                name="delivery_stopped",
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(
                    state__in=(
                        "queued",
                        "sent",
                        "failed",
                        "held",
                        "cancelled",
                        "quarantined",
                    )
                ),
                name="delivery_state_is_known",
            ),
        )

    def __str__(self) -> str:
        return f"{self.address}: {self.state}"

    @property
    def due_at(self) -> datetime:
        """Since when it can be sent, or from when on."""
        return max(self.next_attempt_at, self.updated_at)

    @property
    def next_try_at(self) -> datetime:
        """When it is tried, for all that is known: a rest of its destination counts."""
        return max(self.next_attempt_at, self.rests_until or self.next_attempt_at)

    @property
    def is_held_back(self) -> bool:
        """A person said that nothing goes to its destination."""
        return self.rests_until == FOREVER

    @property
    def why(self) -> str:
        """Why it was not taken, in the words of a person."""
        return WORDS[Failure(self.failure)] if self.failure else ""


# At their end. A person may queue the last two again.
FINAL = (Delivery.State.SENT, Delivery.State.FAILED, Delivery.State.CANCELLED)
