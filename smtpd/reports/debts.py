"""Senders who are owed a report: a worker died, a server sends none, it is late."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Case, Exists, F, OuterRef, Q, When
from django.utils import timezone

from smtpd.dsn import DELAY, FAILURE, Action
from smtpd.models import Delivery, Outgoing, Report
from smtpd.models.delivery import DeliveryQuerySet

# The queue reports a failure at once: a worker that has not by then is dead, or has
# very many to report; told twice is reported once.
PATIENCE = timedelta(seconds=30)
# How far back the sweep looks.
MEMORY = timedelta(days=1)
# Who asked for it hears of a delay after so long (RFC 5321 4.5.4.1: an hour or
# two of retries are common).
LATE = timedelta(hours=4)
_MOST = 500


def left_behind() -> list[int]:
    """Failed deliveries whose sender was told nothing.

    A worker died between writing the failure down and telling the doors.
    """
    now = timezone.now()
    failed = _untold(Action.FAILED).filter(
        Q(outgoing__notify="") | Q(outgoing__notify__contains=FAILURE),
        state=Delivery.State.FAILED,
        updated_at__range=(now - MEMORY, now - PATIENCE),
    )
    return list(failed.order_by("updated_at").values_list("pk", flat=True)[:_MOST])


def late() -> list[int]:
    """Deliveries that wait, and whose sender asked to hear of that."""
    now = timezone.now()
    given_up = now - timedelta(days=settings.GIVE_UP_DAYS + 1)
    asked = Outgoing.objects.exclude(notify="").filter(
        notify__contains=DELAY, created_at__range=(given_up, now - LATE)
    )
    waiting = _untold(Action.DELAYED).waiting().filter(outgoing__in=asked)
    return list(waiting.order_by("pk").values_list("pk", flat=True)[:_MOST])


def owed() -> list[int]:
    """Reports that were promised with the result of a delivery, or wait for DNS.

    In no order: those for whom DNS is silent must not stand before the others.
    """
    rows = Report.objects.owed().order_by("?")
    return list(rows.values_list("pk", flat=True)[:_MOST])


def _untold(action: Action) -> DeliveryQuerySet:
    """Forwarded mail of which this was not told, to the address as written."""
    written = Case(
        When(outgoing__forward_path="", then=F("address")),
        default=F("outgoing__forward_path"),
    )
    told = Report.objects.filter(
        message=OuterRef("outgoing__message"),
        address=OuterRef("written_to"),
        action=action,
    )
    return (
        Delivery.objects.alias(written_to=written)
        .filter(~Exists(told), outgoing__envelope=Outgoing.Envelope.FIXED)
        .exclude(outgoing__reverse_path="")
    )
