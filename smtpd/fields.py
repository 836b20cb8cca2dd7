"""Header fields as bytes: split, read, build. Pure, bounded, tolerant.

Nothing here fails on what a stranger sends, except for size, and nothing
re-serialises a field: what is not changed on purpose stays byte for byte.
The standard library's header parser is not used on mail from outside: it is
slow on hostile input and decodes words inside addresses.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import Header
from email.utils import formataddr

# Postfix stops at 100 KB, common mail stays under 20.
MAX_HEADER = 128 * 1024
MAX_FIELDS = 1000
# What is read of one field's value; the rest is kept and not looked at.
MAX_VALUE = 16 * 1024
MAX_MAILBOXES = 2000

_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FIELD_START = re.compile(rb"\r\n(?![ \t])")
_WORD = re.compile(r"=\?([\w.:-]{1,40})(?:\*[^?]*)?\?([bqBQ])\?([^? ]*)\?=")
_GAP = re.compile(r"(\?=)[ \t]+(?==\?)")
# Some charsets decode to half a surrogate pair, which no database takes.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069"
    r"\ud800-\udfff]"
)


class TooMany(ValueError):
    """The header section is larger than anything honest."""


@dataclass(frozen=True, slots=True)
class Field:
    """One header field; its name in lower case, or "" for a line that is none."""

    name: str
    # The whole field as it came, folded, with its last CRLF.
    raw: bytes

    @property
    def value(self) -> bytes:
        """The unfolded value, at most MAX_VALUE octets of it."""
        _, _, value = self.raw.partition(b":")
        return value[:MAX_VALUE].replace(b"\r\n", b"").strip()


def split(raw: bytes) -> tuple[tuple[Field, ...], int]:
    """Return the fields, and where the body begins behind the empty line.

    A message without an empty line is all header. Raise TooMany beyond the
    limits above.
    """
    if raw.startswith(b"\r\n"):
        return (), 2
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADER)
    if end < 0:
        if len(raw) > MAX_HEADER:
            raise TooMany("header section too long")
        head, body_at = raw, len(raw)
    else:
        head, body_at = raw[: end + 2], end + 4
    parts = _FIELD_START.split(head, MAX_FIELDS + 1)
    if len(parts) > MAX_FIELDS + 1:
        raise TooMany("too many header fields")
    return tuple(_field(part) for part in parts if part), body_at


def _field(part: bytes) -> Field:
    match = _FIELD_NAME.match(part)
    name = match[1].decode("ascii").lower() if match else ""
    return Field(name, part if part.endswith(b"\r\n") else part + b"\r\n")


def text(value: bytes) -> str:
    """What a person should see: encoded words decoded, control characters out."""
    shown = _GAP.sub(r"\1", _decode(value[:MAX_VALUE], "utf-8"))
    shown = _WORD.sub(_decode_word, shown)
    return " ".join(_CONTROL.sub(" ", shown).split())


def _decode_word(match: re.Match[str]) -> str:
    """RFC 2047 2: one encoded word; left as it is when it cannot be read."""
    charset, encoding, payload = match.groups()
    try:
        octets = (
            binascii.a2b_base64(payload + "==")
            if encoding in "bB"
            else quopri.decodestring(payload.replace("_", "=20").encode("ascii"))
        )
    except (ValueError, UnicodeError):
        return match[0]
    return _decode(octets, charset)


def _decode(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset)
    except (LookupError, UnicodeError):
        return octets.decode("latin-1")


def mailboxes(value: bytes) -> list[tuple[str, str]]:
    """The (display name, address) pairs of an address field (RFC 5322 3.4).

    Comments are left out and groups are opened. An address that has no @ is
    returned as it stands: whoever grants rights by it must check it first.
    """
    found: list[tuple[str, str]] = []
    for piece in _pieces(_decode(value[:MAX_VALUE], "utf-8")):
        name, address = piece
        if address:
            found.append((text(name.encode()), address))
        if len(found) >= MAX_MAILBOXES:
            break
    return found


_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"?)|(?P<angle><[^>]*>?)|(?P<open>\()|(?P<close>\))
    |(?P<literal>\[[^\]]*\]?)|(?P<end>[,;])|(?P<group>:)|(?P<other>[^"<()\[,;:]+)""",
    re.VERBOSE | re.DOTALL,
)


def _pieces(value: str) -> list[tuple[str, str]]:
    """Cut an address list at its commas, keeping quotes and brackets whole."""
    pieces: list[tuple[str, str]] = []
    name, angle = "", None
    for kind, token in (*_tokens(value), ("end", ",")):
        if kind == "angle":
            angle = token.strip("<>").strip()
        elif kind == "end":
            pieces.append(_piece(name, angle))
            name, angle = "", None
        else:
            name = "" if kind == "group" else name + token
    return pieces


def _tokens(value: str) -> Iterator[tuple[str, str]]:
    """The tokens outside comments, which nest (RFC 5322 3.2.2)."""
    depth = 0
    for match in _TOKEN.finditer(value):
        kind = match.lastgroup or ""
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif not depth:
            yield kind, match[0]


def _piece(name: str, angle: str | None) -> tuple[str, str]:
    if angle is None:
        return "", name.strip()
    return re.sub(r'\\(.)|"', r"\1", name).strip(), angle


def control_in(value: str) -> str:
    """The first character that no field may carry, else "" (see `build`)."""
    match = _CONTROL.search(value)
    return match[0] if match else ""


def mailbox(name: str, address: str) -> str:
    """`Name <address>`, the name quoted or encoded as it needs.

    The address stays as it is, also outside ASCII (RFC 6532 3.2).
    """
    if not name:
        return address
    return f"{formataddr((name, '')).removesuffix('<>')}<{address}>"


def build(name: str, value: str) -> bytes:
    """One field for the wire: encoded if it must be, folded, with its CRLF.

    Raise ValueError for control characters: a line break in a value would
    be a header field of the sender's choice. What only looks like an encoded
    word is encoded, so that nobody decodes it to something else.
    """
    if control_in(value) or not _FIELD_NAME.fullmatch(f"{name}:".encode()):
        raise ValueError(f"header field {name!r} with control characters")
    charset = "us-ascii" if value.isascii() and "=?" not in value else "utf-8"
    # RFC 2047 2: an encoded word has at most 75 characters.
    header = Header(value, charset, header_name=name, maxlinelen=75)
    return f"{name}: {header.encode(linesep=chr(13) + chr(10))}\r\n".encode("ascii")
