"""The list's footer under a text, without touching a byte of it. Pure.

Plain text in an identity encoding or quoted-printable gets it appended.
Everything else (HTML, base64, multipart, signed) is put whole, with its own
Content-* fields, into a multipart/mixed before a part of ours. What is
encrypted is left alone: it would no longer open everywhere.

`{unsubscribe}` in the footer is the recipient's own link: its fixed part is
written here, its token goes in at the offsets in `splices`.
"""

from __future__ import annotations

import hashlib
import quopri
import re
from dataclasses import dataclass

from smtpd.fields import Field

LINK = "{unsubscribe}"
CRLF = b"\r\n"
# Characters. RFC 5322 2.1.1 allows 998 octets in a line, of which a character
# takes up to four, and a token of 30 goes in as well.
LINE_LENGTH = 240
_OPAQUE = frozenset(
    {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
)
# Charsets in which ASCII text can be put behind any text.
_ASCII_BASED = re.compile(
    r"us-ascii|ascii|utf-8|utf8|iso-8859-\d+|windows-125\d|koi8-[ru]|gb2312|gbk"
    r"|gb18030|big5|euc-(?:jp|kr)"
)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([\w.:-]{1,40})', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """A body, the Content-* fields of the head it needs, and its splices."""

    content: tuple[bytes, ...]
    raw: bytes
    splices: tuple[int, ...] = ()


def add(footer: str, link: str, content: tuple[Field, ...], body: bytes) -> Body | None:
    """Return the body with the footer; None when it must not be touched.

    `content` are the Content-* fields of the message, `link` is the fixed
    part of the unsubscribe link.
    """
    kind, charset, encoding = _nature(content)
    if kind in _OPAQUE:
        return None
    text = _clean(footer)
    if kind == "text/plain" and (added := _encoded(text, link, charset, encoding)):
        return _append(content, body, added, encoding)
    return _wrap(content, body, text, link)


def _nature(content: tuple[Field, ...]) -> tuple[str, str, str]:
    """Type, charset and encoding (RFC 2045 5.2 and 6.1), in lower case.

    An attachment is not a text to write under, and a field that is there
    twice says nothing certain: the type is then empty.
    """
    values = {
        field.name: field.value.decode("latin-1").strip().lower() for field in content
    }
    kind = values.get("content-type", "text/plain")
    encoding = values.get("content-transfer-encoding", "7bit")
    is_file = values.get("content-disposition", "").startswith("attachment")
    if is_file or len(values) < len(content):
        return "", "", encoding
    charset = _CHARSET.search(kind)
    return (
        kind.partition(";")[0].strip(),
        charset[1] if charset else "us-ascii",
        encoding,
    )


def _clean(footer: str) -> str:
    """Lines without control characters or empty lines around them."""
    lines = footer.replace("\r\n", "\n").split("\n")
    kept = ["".join(c for c in line if c.isprintable() or c == "\t") for line in lines]
    return "\n".join(kept).strip("\n")


@dataclass(frozen=True, slots=True)
class _Piece:
    raw: bytes
    splices: tuple[int, ...]


def _encoded(text: str, link: str, charset: str, encoding: str) -> _Piece | None:
    """The footer as the part's own text, or None when it cannot be said there."""
    if not _ASCII_BASED.fullmatch(charset):
        return None
    if encoding == "quoted-printable":
        return _quoted(text, link, charset)
    if encoding == "8bit" or (encoding == "7bit" and text.isascii()):
        return _plain(text, link, charset)
    return None


def _plain(text: str, link: str, charset: str) -> _Piece | None:
    """The footer as it is, in this charset; None when it does not fit."""
    lines = text.replace(LINK, link).split("\n")
    if max(map(len, lines)) > LINE_LENGTH:
        return None
    try:
        parts = [
            part.replace("\n", "\r\n").encode(charset)
            for part in f"{text}\n".replace(LINK, link + LINK).split(LINK)
        ]
    except (UnicodeError, LookupError):
        return None
    return _joined(parts)


def _quoted(text: str, link: str, charset: str) -> _Piece | None:
    """The footer in quoted-printable (RFC 2045 6.7).

    A token stands alone between soft line breaks: lines stay below 76
    characters whatever its length, and the text reads on without a gap.
    """
    try:
        parts = [
            part.encode(charset)
            for part in f"{text}\n".replace(LINK, link + LINK).split(LINK)
        ]
    except (UnicodeError, LookupError):
        return None
    lines = [quopri.encodestring(part).replace(b"\n", CRLF) for part in parts]
    soft = b"=" + CRLF
    before = [line + soft for line in lines[:-1]]
    after = [b"", *([soft] * len(before))]
    return _joined([a + b for a, b in zip(after, [*before, lines[-1]], strict=True)])


def _joined(parts: list[bytes]) -> _Piece:
    """The parts in one, with the places between them."""
    splices, length = [], 0
    for part in parts[:-1]:
        length += len(part)
        splices.append(length)
    return _Piece(b"".join(parts), tuple(splices))


def _append(
    content: tuple[Field, ...], body: bytes, piece: _Piece, encoding: str
) -> Body:
    """The footer behind the text and an empty line."""
    gap = CRLF if body.endswith(CRLF) else CRLF + CRLF
    if encoding == "quoted-printable" and body.rstrip(CRLF).endswith(b"="):
        # A soft line break at the very end would swallow the empty line.
        gap += CRLF
    start = len(body) + len(gap)
    return Body(
        tuple(field.raw for field in content),
        body + gap + piece.raw,
        tuple(start + at for at in piece.splices),
    )


def _wrap(content: tuple[Field, ...], body: bytes, text: str, link: str) -> Body:
    """The body as the first part of two (RFC 2046 5.1.3), byte for byte."""
    boundary = _boundary(body)
    simple = _plain(text, link, "ascii")
    piece = simple or _quoted(text, link, "utf-8")
    assert piece is not None, "UTF-8 encodes everything"
    inner = b"".join(field.raw for field in content)
    before = b"".join(
        (
            b"--%s\r\n%s\r\n" % (boundary, inner),
            body,
            b"\r\n--%s\r\n" % boundary,
            b'Content-Type: text/plain; charset="utf-8"\r\n',
            b"Content-Transfer-Encoding: ",
            b"7bit" if simple else b"quoted-printable",
            b"\r\nContent-Disposition: inline\r\n\r\n",
        )
    )
    made = [b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n']
    if not body.isascii():
        # RFC 2045 6.4: the whole says the most that one of its parts needs.
        most = b"binary" if _nature(content)[2] == "binary" else b"8bit"
        made.append(b"Content-Transfer-Encoding: %s\r\n" % most)
    return Body(
        tuple(made),
        b"%s%s--%s--\r\n" % (before, piece.raw, boundary),
        tuple(len(before) + at for at in piece.splices),
    )


def _boundary(body: bytes) -> bytes:
    """A line that does not occur in the body; the same one each time."""
    seed = hashlib.sha256(body).hexdigest()[:24]
    number = 0
    while (boundary := f"=_{seed}_{number}".encode()) in body:
        number += 1
    return boundary
