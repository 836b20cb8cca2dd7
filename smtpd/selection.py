"""Which rows of the ledger somebody means: what the queue page and mailq ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, Length, Lower
from django.utils import timezone
from django.utils.functional import cached_property

from smtpd.models import Delivery, Destination, Message
from smtpd.models.delivery import DeliveryQuerySet

State = Delivery.State
# Rows that are counted and paged through; who looks for more chooses better.
MOST = 10_000


class Pages(Paginator):  # type: ignore[type-arg] # not generic at run time
    """Does not count a million rows to show fifty of them."""

    @cached_property
    def count(self) -> int:
        """Up to MOST of them."""
        rows = self.object_list
        assert isinstance(rows, DeliveryQuerySet)
        return rows.order_by()[:MOST].count()

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than can be paged through."""
        return self.count >= MOST


def select(rows: DeliveryQuerySet, chosen: Mapping[str, str]) -> DeliveryQuerySet:
    """Those in a state, of a destination, written to an address, with a word."""
    if chosen["state"] != "any":
        rows = rows.filter(state=chosen["state"])
    if name := chosen["destination"]:
        rows = rows.filter(destination=name)
    if address := chosen["to"]:
        rows = rows.filter(outgoing__message__in=_written_to(address))
    if word := chosen["q"]:
        rows = named(rows, word)
    return rows


def named(rows: DeliveryQuerySet, word: str) -> DeliveryQuerySet:
    """Those of the message with this key, or of recipients with this in their name."""
    found = message_named(word)
    if found is not None:
        return rows.filter(outgoing__message=found)
    local, _, domain = word.rpartition("@")
    if local and domain:
        # A whole address, and nobody whose own contains it. To look at its length
        # first takes a third of the time.
        known = rows.alias(size=Length("address"), lower=Lower("address"))
        return known.filter(size=len(word), lower=Lower(Value(word)))
    return rows.filter(address__icontains=word)


def message_named(word: str) -> int | None:
    """The message whose key this is."""
    found = Message.objects.filter(key=word.lower())
    return found.values_list("pk", flat=True).first()


def bounded(rows: DeliveryQuerySet) -> int:
    """How many; MOST + 1 stands for more than MOST."""
    return rows.order_by()[: MOST + 1].count()


def in_line(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """As they stand in line, which is how the index on what waits has them."""
    return rows.order_by("destination", "lane", "next_attempt_at", "id")


def light(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """With what a page says of their messages, and no bytes."""
    return rows.select_related("outgoing__message").only(
        *(field.attname for field in Delivery._meta.concrete_fields),
        "outgoing__created_at",
        "outgoing__message__key",
        "outgoing__message__subject",
    )


def tell_rests(rows: Collection[Delivery]) -> None:
    """Let each of these know until when its destination is left alone."""
    names = {row.destination for row in rows if row.state == State.QUEUED}
    resting = Destination.objects.filter(
        name__in=names, backoff_until__gt=timezone.now()
    )
    until = dict(resting.values_list("name", "backoff_until"))
    for row in rows:
        row.rests_until = until.get(row.destination)


def _written_to(address: str) -> QuerySet[Message, Any]:
    # The forward-paths are a JSON list: the quotes begin and end each of them.
    found = Message.objects.annotate(paths_text=Cast("forward_paths", TextField()))
    return found.filter(paths_text__icontains=f'"{address}"').values_list("pk")
