"""Rows of the ledger for tests."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lists.models import Subscription
from smtpd.models import Delivery, Message, Outgoing


def make_delivery(subscription: Subscription, **values: Any) -> Delivery:
    """A copy that the next server took, unless said otherwise."""
    message = Message.objects.create(size=0, sha256="", body_at=0, raw=b"")
    outgoing = Outgoing.objects.create(
        message=message,
        lane=Outgoing.Lane.BULK,
        envelope=Outgoing.Envelope.VERP,
        reverse_path="lists.test",
        head=b"",
    )
    now = timezone.now()
    return Delivery.objects.create(
        **{
            "outgoing": outgoing,
            "address": subscription.subscriber.address,
            "ref": subscription.pk,
            "destination": "relay",
            "lane": outgoing.lane,
            "state": Delivery.State.SENT,
            "next_attempt_at": now,
            "updated_at": now,
            **values,
        }
    )
