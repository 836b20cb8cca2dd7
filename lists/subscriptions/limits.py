"""How often strangers may make us write to an address.

Whoever types another's address into a form, or forges it in mail, makes us
write to that person; five such mails a day are all they can ever get.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from lists.models import MailingList, Request
from lists.subscriptions import addresses
from lists.subscriptions.addresses import PersonAddress

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
PER_LIST = 3
PER_ADDRESS = 5
PER_SOURCE = 30
# How long a confirmation can be answered.
LIFETIME = timedelta(days=3)


@transaction.atomic
def note(
    kind: str,
    mlist: MailingList,
    person: PersonAddress,
    *,
    name: str = "",
    asked_from: str = "",
) -> Request | None:
    """Note that somebody asked; None when no more mail may be written.

    The row is written for members and strangers alike, so that neither the
    time nor the limits tell them apart.
    """
    key = addresses.limit_key(person.folded)
    source = addresses.source(asked_from)
    _queue_up(key)
    reached = _reached(mlist, key, addresses.network(source))
    if reached:
        log.warning("ask_refused limit=%s list=%s from=%s", reached, mlist.pk, source)
        return None
    return Request.objects.create(
        kind=kind,
        mailing_list=mlist,
        address=person.address,
        folded=key,
        name=name[:100],
        asked_from=source,
        expires_at=timezone.now() + LIFETIME,
    )


def _reached(mlist: MailingList, key: str, network: str) -> str:
    """The limit that is used up, if one is."""
    now = timezone.now()
    lately = Request.objects.filter(folded=key, created_at__gt=now - DAY)
    if lately.filter(mailing_list=mlist).count() >= PER_LIST:
        return "list"
    if lately.count() >= PER_ADDRESS:
        return "address"
    if network and _asked_by(network, now - HOUR) >= PER_SOURCE:
        return "source"
    return ""


def _asked_by(network: str, since: datetime) -> int:
    by_network = (
        Q(asked_from__startswith=network)
        if network.endswith(":")
        else Q(asked_from=network)
    )
    return Request.objects.filter(by_network, created_at__gt=since).count()


def _queue_up(key: str) -> None:
    """Let those who ask for one address pass one after the other.

    SQLite does so by itself: its transactions take the write lock first.
    """
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(key.encode()).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def forget() -> int:
    """Delete questions that were not answered in time; return how many.

    Answered ones stay: they are the evidence of consent.
    """
    old = Request.objects.filter(confirmed_at=None, expires_at__lt=timezone.now() - DAY)
    return old.delete()[0]
