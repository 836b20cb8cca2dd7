"""When better no report is sent that nobody asked for. Pure.

A report to a program helps nobody and may be answered; one to a forged sender
is spam. Whoever asks with NOTIFY wants to hear all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta

from smtpd import fields
from smtpd.fields import Field

# Senders that are no persons: those who report and those who do not read.
_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|no[-_.]?reply|do[-_.]?not[-_.]?reply|nobody"
    r"|(?:.*-)?bounces?|.*-(?:owner|request)|owner-.+)(?:[+=-].*)?",
    re.IGNORECASE,
)
# The same news of the same message is told once in this time.
AGAIN_AFTER = timedelta(days=7)
# How long DNS may keep us from knowing who sent a message.
ASK_FOR = timedelta(days=1)
UNPROVEN = "nothing proves that the message came from them (SPF)"
_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})


def reason(reverse_path: str, head: Sequence[Field]) -> str:
    """Why a report does harm, in the words of a trace; "" when it does none."""
    local_part = reverse_path.rpartition("@")[0]
    if _NOBODY.fullmatch(local_part):
        return "nobody reads mail at the sender's address"
    return next(filter(None, map(_said_by, head)), "")


def _said_by(field: Field) -> str:
    if field.name.startswith("list-"):
        return "it came from a list"
    value = fields.text(field.value).lower()
    # RFC 3834 5: parameters may follow the keyword.
    word = value.partition(";")[0].strip()
    faults = {
        "precedence": (word in _BULK, "it was sent in bulk"),
        "auto-submitted": (word != "no", "a program wrote it"),
        "x-auto-response-suppress": (word != "none", "it asks for no answers"),
        "content-type": (word == "multipart/report", "it is a report itself"),
    }
    is_one, why = faults.get(field.name, (False, ""))
    return why if is_one else ""


def fingerprint(
    reverse_path: str, address: str, news: str, head: Sequence[Field], body: bytes
) -> str:
    """The same for the same news of a message that a program sends daily.

    What a new copy has anew (Date, Message-ID, Received) is not in it.
    """
    subject = next((field.value for field in head if field.name == "subject"), b"")
    parts = (reverse_path.lower(), address.lower(), news, subject.strip(), body)
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        octets = part if isinstance(part, bytes) else part.encode()
        digest.update(b"%d:%b" % (len(octets), octets))
    return digest.hexdigest()
