"""The list's prefix in the Subject, once, whatever the reply did to it. Pure.

`hi`, `Re: [Z] hi`, `[Z] Re: Re: hi`, `AW: [z] hi` become `[Z] hi` and
`[Z] Re: hi`.
"""

from __future__ import annotations

import re

from smtpd import fields
from smtpd.fields import Field

# What mail programs put before the subject of a reply: English, German,
# Scandinavian, Polish, Dutch, Turkish, Chinese; with a counter, some of them.
# Bounded throughout: a subject of spaces must not take quadratic time.
_REPLY = re.compile(
    r"(?:re|aw|sv|vs|odp|antw|ynt|回复|答复)\s{0,4}"
    r"(?:\[\d{1,6}\]|\(\d{1,6}\)|\^\d{1,6})?\s{0,4}[:\uff1a]",
    re.IGNORECASE,
)


def prefixed(prefix: str, field: Field | None) -> bytes:
    """Return the whole Subject field with the prefix.

    A plain one keeps the bytes and the folding of what follows the prefix;
    one with encoded words is decoded and built anew (RFC 2047 5: words of
    two encodings may not touch).
    """
    mark = fields.text(prefix.encode())
    raw = field.raw.partition(b":")[2] if field else b""
    if mark.isascii() and raw.isascii() and b"=?" not in raw:
        front, rest = _parts(mark, raw.decode("ascii").strip())
        return f"Subject: {front} {rest}".rstrip().encode("ascii") + b"\r\n"
    front, rest = _parts(mark, fields.text(field.value if field else b""))
    return fields.build("Subject", f"{front} {rest}".rstrip())


def _parts(mark: str, subject: str) -> tuple[str, str]:
    """The prefix, with one `Re:` for a reply, and the subject without both."""
    mark_again = re.compile(
        re.escape(mark) + (r"(?!\w)" if mark[-1:].isalnum() else ""), re.IGNORECASE
    )
    at, is_reply = 0, False
    while True:
        if match := _REPLY.match(subject, at):
            is_reply = True
        elif not (match := mark_again.match(subject, at)):
            break
        at = _skip(subject, match.end())
    return f"{mark} Re:" if is_reply else mark, subject[at:]


def _skip(subject: str, at: int) -> int:
    """Where the next word begins."""
    while at < len(subject) and subject[at].isspace():
        at += 1
    return at
