"""Mail that we took, passed on unchanged, and could not deliver.

Whoever takes a message and then cannot deliver it must tell its sender (RFC
5321 6.1). The sender is told once a message and address they wrote to, however
many of those behind it failed: a forged sender is not buried in reports. Who
is behind the address is not told; the trace knows. Of what an account sent
elsewhere each recipient is told, with the words of the server that refused.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from email.message import Message as MimeMessage
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from smtpd import fields
from smtpd.events import add_event
from smtpd.models import Delivery, Domain, Event, Message, Outgoing

log = logging.getLogger(__name__)

RETURNED = "returned"
# The queue reports a failure at once: a worker that has not by then is dead.
PATIENCE = timedelta(seconds=30)
# How far back the sweep looks.
MEMORY = timedelta(days=1)

BEHIND = """\
Your message to {address} could not be delivered to everybody behind
that address. It is not tried again.
"""
ELSEWHERE = """\
Your message to {address} could not be delivered. It is not tried
again.
"""
DETAILS = """
    Subject: {subject}
    Reason:  {reason}
    Number:  {key}

The postmaster of {domain} can say more if you give the number.
"""


class Report(EmailMessage):
    """A multipart/report (RFC 6522) instead of a multipart/mixed."""

    mixed_subtype = "report"

    def message(self, **kwargs: Any) -> Any:
        """Name the kind of report, as RFC 3464 2 demands."""
        mail = super().message(**kwargs)
        mail.set_param("report-type", "delivery-status")
        return mail


def return_to_sender(delivery_ids: Sequence[int]) -> int:
    """Report failed deliveries of forwarded mail; return how many reports went out.

    Copies of list posts and mail of the site itself are passed over, and so is
    mail from the null reverse-path: a report on a report would never end (RFC
    5321 4.5.5). Telling twice changes nothing.
    """
    failed = Delivery.objects.filter(
        pk__in=delivery_ids,
        state=Delivery.State.FAILED,
        outgoing__envelope=Outgoing.Envelope.FIXED,
        outgoing__message__source=Message.Source.SMTP,
    )
    first: dict[tuple[int, str], Delivery] = {}
    light = failed.select_related("outgoing__message").defer(
        "outgoing__body", "outgoing__message__raw"
    )
    for delivery in light.order_by("-id"):
        first[delivery.outgoing_id, _written_to(delivery)] = delivery
    return sum(_return(delivery) for delivery in first.values())


def left_behind() -> list[int]:
    """Failed deliveries of messages whose sender was told nothing at all.

    A worker died between writing the failure down and telling the doors.
    """
    now = timezone.now()
    told = Event.objects.filter(message=OuterRef("outgoing__message"), kind=RETURNED)
    failed = Delivery.objects.filter(
        ~Exists(told),
        state=Delivery.State.FAILED,
        updated_at__range=(now - MEMORY, now - PATIENCE),
        outgoing__envelope=Outgoing.Envelope.FIXED,
        outgoing__message__source=Message.Source.SMTP,
    ).exclude(outgoing__reverse_path="")
    return list(failed.order_by("updated_at").values_list("pk", flat=True)[:500])


@transaction.atomic
def _return(delivery: Delivery) -> bool:
    # Whoever holds the row is the one who reports.
    outgoing = Outgoing.objects.select_for_update().get(pk=delivery.outgoing_id)
    message = outgoing.message
    address = _written_to(delivery)
    text = f"{address}: the sender was told that it could not be delivered."
    if message.events.filter(kind=RETURNED, text=text).exists():
        return False
    if not outgoing.reverse_path:
        return False
    if not outgoing.reverse_path.isascii():
        add_event(message, RETURNED, f"{address}: the sender takes no plain mail.")
        log.info("%s returned=no reverse-path=<%s>", message, outgoing.reverse_path)
        return False
    _report(delivery, outgoing, address).send()
    add_event(message, RETURNED, text)
    log.info("%s returned=yes address=%s", message, address)
    return True


def _passed_on_by(delivery: Delivery) -> str:
    """The address of ours that passed it on: our own field behind our trace."""
    outgoing = delivery.outgoing
    found, _ = fields.split(bytes(outgoing.head)[len(outgoing.message.trace) :])
    is_ours = bool(found) and found[0].name == "delivered-to"
    return found[0].value.decode("utf-8", "replace") if is_ours else ""


def _written_to(delivery: Delivery) -> str:
    """The address the sender named: one of ours, or one elsewhere (submission)."""
    return _passed_on_by(delivery) or delivery.address


def _report(delivery: Delivery, outgoing: Outgoing, address: str) -> Report:
    message = outgoing.message
    is_ours = bool(_passed_on_by(delivery))
    domain = (address if is_ours else outgoing.reverse_path).rpartition("@")[2]
    if not Domain.objects.filter(name=domain).exists():
        domain = settings.SMTP_HOSTNAME
    reason = f"{delivery.code or ''} {delivery.enhanced}".strip() or "no answer"
    if not is_ours:
        reason = f"{reason} {delivery.text}".strip()
    report = Report(
        subject="Undelivered: " + (message.subject[:200] or "your message"),
        body=((BEHIND if is_ours else ELSEWHERE) + DETAILS).format(
            address=address,
            subject=message.subject[:200],
            reason=reason,
            key=message.key,
            domain=domain,
        ),
        from_email=f"Mail delivery <postmaster@{domain}>",
        to=[outgoing.reverse_path],
        headers={"Auto-Submitted": "auto-replied"},
    )
    if message.msg_id:
        report.extra_headers["In-Reply-To"] = message.msg_id
    report.attach(_status(delivery, message, address, reason))
    report.attach(_headers(message))
    return report


def _status(
    delivery: Delivery, message: Message, address: str, reason: str
) -> MIMENonMultipart:
    """RFC 3464 2.2 and 2.3: the machine's part of the report."""
    whole = MimeMessage()
    whole["Reporting-MTA"] = f"dns; {settings.SMTP_HOSTNAME}"
    whole["Arrival-Date"] = format_datetime(message.received_at)
    one = MimeMessage()
    kind = "rfc822" if address.isascii() else "utf-8"
    one["Final-Recipient"] = f"{kind}; {address}"
    one["Action"] = "failed"
    # RFC 3463: a reply without an enhanced code, or none at all.
    is_permanent = delivery.enhanced.startswith("5.")
    one["Status"] = delivery.enhanced if is_permanent else "5.0.0"
    one["Diagnostic-Code"] = f"smtp; {reason}"
    part = MIMENonMultipart("message", "delivery-status")
    part.set_payload([whole, one])
    return part


def _headers(message: Message) -> MIMEText:
    """RFC 6522 4: the header section is enough to recognise one's own mail."""
    head = bytes(message.raw)[: message.body_at].replace(b"\r\n", b"\n")
    return MIMEText(head.decode("utf-8", "replace"), "rfc822-headers", "utf-8")
