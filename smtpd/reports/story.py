"""What a report tells: the facts of a message and of what became of it.

Who is behind an address of ours is not told, nor what their server said; of what an
account sent elsewhere the words of the server that refused are.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from email.utils import make_msgid

from django.conf import settings
from django.utils import timezone

from smtpd.correction import decide, new_address
from smtpd.dsn import Action
from smtpd.models import Delivery, Domain, Message
from smtpd.reports.compose import Frame, News, Original

# RFC 3463 3.2, and X.1.9 of RFC 3886: passed on to a server without reports.
_GOOD = {Action.RELAYED: "2.1.9"}


def original_of(message: Message) -> Original:
    return Original(
        message.reverse_path,
        message.subject,
        message.msg_id,
        message.key,
        message.received_at,
        head=message.head,
        whole=bytes(message.raw) if message.ret == "FULL" else None,
        envid=message.envid,
        needs_utf8=message.needs_utf8,
    )


def frame_of(message: Message, news: News) -> Frame:
    """Written by the postmaster of the address, or of the account's own domain."""
    mailbox = message.reverse_path if news.is_elsewhere else news.address
    domain = mailbox.rpartition("@")[2].lower()
    if not Domain.objects.filter(name=domain).exists():
        domain = settings.SMTP_HOSTNAME
    return Frame(
        settings.SMTP_HOSTNAME,
        domain,
        make_msgid(domain=domain),
        timezone.localtime(),
        boundary=secrets.token_hex(16),
    )


def news_of(action: Action, delivery: Delivery) -> News:
    """What may be said: the reply's words only of an address the sender named."""
    outgoing = delivery.outgoing
    is_elsewhere = not outgoing.forward_path
    is_late = action is Action.DELAYED
    until = outgoing.created_at + timedelta(days=settings.GIVE_UP_DAYS)
    return News(
        action,
        outgoing.forward_path or delivery.address,
        outgoing.orcpt,
        _status(action, delivery),
        delivery.code,
        text=delivery.text if is_elsewhere else "",
        host=delivery.host if is_elsewhere else "",
        at=delivery.updated_at if delivery.attempts else None,
        until=until if is_late else None,
        moved_to="" if is_elsewhere else _moved_to(delivery),
        is_elsewhere=is_elsewhere,
    )


def _moved_to(delivery: Delivery) -> str:
    """Where a target has gone, if the domain that passed it on tells such things."""
    said = f"{delivery.code} {delivery.enhanced} {delivery.text}"
    mailbox = new_address(said, delivery.address)
    domain = delivery.outgoing.forward_path.rpartition("@")[2]
    ours = Domain.objects.filter(name=domain).first() if mailbox else None
    if ours is None:
        return ""
    way = decide(
        "",
        ours.correction,
        settings.MOVED_POLICY,
        may_disclose=settings.MOVED_DISCLOSE,
    )
    return mailbox if way.correction.discloses else ""


def _status(action: Action, delivery: Delivery) -> str:
    """RFC 3463, of the class that fits: a reply may have none, or another."""
    if action is Action.DELAYED:
        return delivery.enhanced if delivery.enhanced.startswith("4.") else "4.0.0"
    if action is not Action.FAILED:
        return _GOOD.get(action, "2.0.0")
    if delivery.enhanced.startswith("5."):
        return delivery.enhanced
    is_refused = delivery.code is not None and delivery.code >= 500
    # X.4.7: tried until it was too old.
    return "5.0.0" if is_refused else "5.4.7"
