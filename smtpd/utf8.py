"""Whether a message needs SMTPUTF8 by what stands in it. Pure.

RFC 6531 3.4: a header field with UTF-8, its own or of a part of its body. What
came in with SMTPUTF8 may not need it any more, and the other way round.
"""

from __future__ import annotations

import re

from smtpd import fields

# The header of a part: from a delimiter to the empty line.
_PART = re.compile(rb"(?:\A|\n)--[^\r\n]*\r\n((?:[^\r\n]+\r\n)+)")
# RFC 6532 3.7.
_GLOBAL = b"message/global"


def is_needed(head: bytes, body: bytes) -> bool:
    """Whether the header, or that of a part, has UTF-8.

    Only for mail that was sent with SMTPUTF8, or has an address of ours in
    UTF-8: elsewhere eight bits in a header are a mistake that we pass on.
    """
    if not head.isascii():
        return True
    if body.isascii() or not _has_parts(head):
        return False
    return any(
        not match[1].isascii() or _GLOBAL in match[1].lower()
        for match in _PART.finditer(body)
    )


def _has_parts(head: bytes) -> bool:
    found, _ = fields.split(head)
    kinds = [part.value.lower() for part in found if part.name == "content-type"]
    return any(kind.startswith((b"multipart/", b"message/")) for kind in kinds)
