"""What a mail program left out of a message is put in (RFC 6409 8). Pure.

Date and Message-ID are added, addresses without a domain get one, a Sender is
added where From names several people; Bcc and Return-Path are taken out. Every
other octet stays as it was: nothing is written anew that only has to go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from smtpd import fields, replies
from smtpd.fields import Field
from smtpd.replies import Reply
from smtpd.submission import addresses
from smtpd.submission.addresses import Unclear

# RFC 5322 3.6.3: Bcc is for those who are not to be seen. RFC 5321 4.4: only
# the last server writes Return-Path.
_HIDDEN = frozenset(("bcc", "resent-bcc", "return-path"))
_WITH_ADDRESSES = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "resent-")
    for name in ("from", "sender", "reply-to", "to", "cc")
)
# Everything but TAB and the CR LF between lines.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Unrepairable(ValueError):
    """No message we could send in anybody's name; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Supplies:
    """What is put in where it is missing."""

    # For addresses that are only a local part.
    domain: str
    # The mailbox that goes into Sender.
    sender: str
    # With its angle brackets.
    msg_id: str
    date: str


def repair(raw: bytes, supplies: Supplies) -> bytes:
    """Return the message as it should have been submitted.

    Raise Unrepairable, and fields.TooMany for a monstrous header. A message
    that needs nothing comes back as it is.
    """
    found, body_at = fields.split(raw)
    for field in found:
        _refuse_bad(field)
    kept = [_complete(field, supplies) for field in found if field.name not in _HIDDEN]
    kept += _missing(found, supplies)
    return b"".join(kept) + b"\r\n" + raw[body_at:]


def _refuse_bad(field: Field) -> None:
    """Header lines that two readers could read differently."""
    if not field.name:
        raise Unrepairable(replies.BAD_FIELD)
    if _CONTROL.search(field.raw.replace(b"\r\n", b"")):
        raise Unrepairable(replies.CONTROL_IN_FIELD)


def _complete(field: Field, supplies: Supplies) -> bytes:
    if field.name not in _WITH_ADDRESSES:
        return field.raw
    return addresses.qualify(field.raw, supplies.domain.encode())


def _missing(found: tuple[Field, ...], supplies: Supplies) -> list[bytes]:
    """The fields to add; RFC 5322 3.6 wants one From and says how many of it."""
    values = {field.name: field.value for field in found}
    if values.get("from", b"") == b"":
        raise Unrepairable(replies.NO_AUTHOR)
    for name in ("from", "sender"):
        if sum(field.name == name for field in found) > 1:
            raise Unrepairable(replies.REPEATED_FIELD)
    added = []
    if _authors(found) > 1 and not values.get("sender"):
        added.append(b"Sender: %s\r\n" % supplies.sender.encode())
    if not values.get("date"):
        added.append(b"Date: %s\r\n" % supplies.date.encode())
    if not values.get("message-id"):
        added.append(b"Message-ID: %s\r\n" % supplies.msg_id.encode())
    return added


def _authors(found: tuple[Field, ...]) -> int:
    """How many people From names, and that nobody could read it otherwise."""
    count = 0
    for field in found:
        if field.name not in ("from", "sender"):
            continue
        try:
            named = addresses.count(field.raw)
        except Unclear:
            raise Unrepairable(replies.UNCLEAR_AUTHOR) from None
        if len(field.raw) > fields.MAX_VALUE:
            # Whoever looks for the author stops reading there.
            raise Unrepairable(replies.UNCLEAR_AUTHOR)
        count = named if field.name == "from" else count
    return count
