"""Where a recipient's copy goes next: to the relay, or to its domain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q
from django.utils import timezone

from smtpd import paths
from smtpd.models import Delivery
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.outbound.relay import RELAY, is_direct
from smtpd.paths import BadPath

# A domain of the relay's name is no relay: in DNS a final dot changes nothing.
_NAMESAKE = f"{RELAY}."
_UNFINISHED = (
    Delivery.State.QUEUED,
    Delivery.State.HELD,
    Delivery.State.QUARANTINED,
)
_BATCH = 1000


def destination_of(mailbox: str) -> str:
    """What Delivery.destination says for a recipient, as RELAY is set now."""
    if not is_direct():
        return RELAY
    try:
        domain = paths.mailbox(mailbox).domain
    except BadPath:
        # Refused when it is to be sent; what matters is that it has a row.
        domain = mailbox.rpartition("@")[2].lower()[:255]
    return _NAMESAKE if domain == RELAY else domain


def as_sql(domain: str) -> str:
    """The same as an expression over a column with domains in lower case."""
    if not is_direct():
        return f"'{RELAY}'"
    return f"CASE WHEN {domain} = '{RELAY}' THEN '{_NAMESAKE}' ELSE {domain} END"


def reroute(names: Iterable[str]) -> int:
    """Give rows that were queued under another RELAY the destination of today.

    `names` are those that rows wait for; return how many rows were moved.
    """
    if is_direct():
        return _to_domains() if RELAY in names else 0
    others = [name for name in names if name != RELAY]
    return _stranded().filter(destination__in=others).update(destination=RELAY)


def _to_domains() -> int:
    moved = 0
    while rows := list(_stranded().filter(destination=RELAY)[:_BATCH]):
        by_name: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            by_name[destination_of(row.address)].append(row.pk)
        for name, some in by_name.items():
            mine = _stranded().filter(pk__in=some, destination=RELAY)
            moved += mine.update(destination=name)
    return moved


def _stranded() -> DeliveryQuerySet:
    """Not at an end, and in nobody's hands."""
    is_free = Q(lease=None) | Q(next_attempt_at__lte=timezone.now())
    return Delivery.objects.filter(is_free, state__in=_UNFINISHED).order_by()
