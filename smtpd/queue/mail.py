"""Django's e-mail through our own queue: the site's notices.

A notice is written in the caller's transaction and goes in the fast lane with
the null reverse-path: nobody gets a bounce of it (RFC 5321 4.5.5).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from email.utils import make_msgid

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from smtpd import fields
from smtpd.models import Domain, Message, Outgoing
from smtpd.queue.actions import enqueue

_CRLF = b"\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


class EmailBackend(BaseEmailBackend):
    """EMAIL_BACKEND: every EmailMessage becomes rows of the queue."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue them all or none; return how many had a recipient."""
        with transaction.atomic():
            return sum(map(_queue, email_messages))


def _queue(notice: EmailMessage) -> bool:
    """Store a notice and a copy for each recipient, Bcc included."""
    recipients = notice.recipients()
    if not recipients:
        return False
    _, address = fields.mailboxes(notice.from_email.encode())[0]
    domain = address.rpartition("@")[2].lower()
    raw = _raw(notice, domain)
    head = raw.partition(_CRLF * 2)[0]
    post(raw, recipients, author=address, needs_utf8=not head.isascii())
    return True


def post(
    raw: bytes, recipients: Sequence[str], *, author: str, needs_utf8: bool = False
) -> Message:
    """Queue a message that the site wrote, from the null path.

    `raw` is what goes over the wire; the key of the author's domain signs it.
    """
    parts, body_at = fields.split(raw)
    domain = author.rpartition("@")[2].lower()
    message = Message.objects.create(
        source=Message.Source.SITE,
        forward_paths=list(recipients),
        msg_id=_value(parts, "message-id"),
        subject=fields.text(_value(parts, "subject").encode()),
        author=author,
        needs_8bit=not raw.isascii(),
        needs_utf8=needs_utf8,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        body_at=body_at,
        raw=raw,
    )
    outgoing = Outgoing.objects.create(
        message=message,
        lane=Outgoing.Lane.FAST,
        envelope=Outgoing.Envelope.FIXED,
        head=raw[: body_at - len(_CRLF)],
        needs_8bit=message.needs_8bit,
        needs_utf8=needs_utf8,
        dkim_domain=Domain.objects.filter(name=domain).exclude(dkim_key="").first(),
    )
    enqueue(outgoing, ((recipient, None) for recipient in recipients))
    return message


def _raw(notice: EmailMessage, domain: str) -> bytes:
    """The notice for the wire; ValueError for control characters in a field."""
    headers = {name.lower() for name in notice.extra_headers}
    if "message-id" not in headers:
        msg_id = make_msgid(domain=domain or settings.SMTP_HOSTNAME)
        notice.extra_headers["Message-ID"] = msg_id
    if "auto-submitted" not in headers:
        # RFC 3834 5: no vacation answer, please.
        notice.extra_headers["Auto-Submitted"] = "auto-generated"
    mail = notice.message()
    for name, value in mail.items():
        if _CONTROL.search(_FOLD.sub("", str(value))):
            raise ValueError(f"header field {name!r} with control characters")
    ours = [_utf8_field(name, value) for name, value in _utf8_addresses(notice)]
    for name, _ in _utf8_addresses(notice):
        del mail[name]
    raw: bytes = b"".join(ours) + mail.as_bytes()
    return raw.replace(_CRLF, b"\n").replace(b"\n", _CRLF)


def _utf8_addresses(notice: EmailMessage) -> list[tuple[str, str]]:
    """The address fields with a mailbox outside ASCII: Django would encode it."""
    told = {
        "From": notice.from_email,
        "To": ", ".join(map(str, notice.to)),
        "Cc": ", ".join(map(str, notice.cc)),
        "Reply-To": ", ".join(map(str, notice.reply_to)),
    } | {name.title(): str(value) for name, value in notice.extra_headers.items()}
    return [
        (name, told[name])
        for name in ("From", "To", "Cc", "Reply-To")
        if not all(map(str.isascii, _addresses(told[name])))
    ]


def _addresses(value: str) -> list[str]:
    return [address for _, address in fields.mailboxes(value.encode())]


def _utf8_field(name: str, value: str) -> bytes:
    """Mailboxes as they are, only their names encoded (RFC 6532 3.2)."""
    people = fields.mailboxes(value.encode())
    line = ", ".join(fields.mailbox(display, address) for display, address in people)
    if _CONTROL.search(line):
        raise ValueError(f"header field {name!r} with control characters")
    return f"{name}: {line}\n".encode()


def _value(parts: tuple[fields.Field, ...], name: str) -> str:
    return next((part.value.decode() for part in parts if part.name == name), "")
