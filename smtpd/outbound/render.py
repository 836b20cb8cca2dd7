"""The bytes of each recipient's copy, cut once and joined for each.

What leaves here ends every line in CRLF and has no NUL, no bare CR or LF and
no line that begins with an unstuffed dot, whatever came in: nothing inside a
message can end it for the next server (RFC 5321 2.3.8, 4.5.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smtpd.outbound.dkim import CUT, Prepared, Signer

TOKEN = b"{token}"
END = b".\r\n"
# About what a DKIM-Signature adds.
_SIGNATURE = 900
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Unsendable(ValueError):
    """These bytes cannot be sent as a message; a person must look."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an Outgoing says; see there."""

    head: bytes
    copy_head: bytes
    body: bytes
    splices: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A message cut at its tokens. Stuffed, with the final dot."""

    pieces: tuple[bytes, ...]
    prepared: Prepared | None
    # Octets without tokens, for SIZE= (RFC 1870 5: an estimate).
    size: int

    @property
    def is_same_for_all(self) -> bool:
        """Whether one transaction may bring it to many recipients."""
        return len(self.pieces) == 1

    def sign(self, token: str = "") -> bytes:
        """The signature field of one recipient's copy; empty if unsigned."""
        return self.prepared.sign(token.encode("ascii")) if self.prepared else b""

    def copy(self, token: str = "") -> bytes:
        """All between the 354 and the last reply but the signature before it."""
        return token.encode("ascii").join(self.pieces)

    def signed_copy(self, token: str = "") -> bytes:
        """All between the 354 and the last reply."""
        return self.sign(token) + self.copy(token)


def compile_parts(parts: Parts, signer: Signer | None, *, signed_at: int) -> Compiled:
    """Do once what every copy would do again. Raise Unsendable."""
    head = _fields(parts.head) + _fields(parts.copy_head).replace(TOKEN, CUT)
    body = [_lines(piece) for piece in _cut(parts.body, parts.splices)]
    if not body[-1].endswith(b"\r\n") and (len(body) > 1 or body[-1]):
        body[-1] += b"\r\n"
    prepared = signer.prepare(head, body, signed_at=signed_at) if signer else None
    whole = CUT.join((head + b"\r\n" + body[0], *body[1:]))
    pieces = tuple((_stuff(whole) + END).split(CUT))
    size = len(whole) + (_SIGNATURE if prepared else 0)
    return Compiled(pieces, prepared, size)


def _fields(head: bytes) -> bytes:
    """A header section that cannot end early and begin a body."""
    head = _lines(head)
    if head and not head.endswith(b"\r\n"):
        raise Unsendable("header section without a last line break")
    if head.startswith((b"\r\n", b" ", b"\t")) or b"\r\n\r\n" in head:
        raise Unsendable("header section with an empty line or half a field")
    return head


def _lines(piece: bytes) -> bytes:
    """Every line break a CRLF; RFC 5321 2.3.8 knows no other."""
    if CUT in piece:
        raise Unsendable("NUL in a message")
    breaks = piece.count(b"\r\n")
    if piece.count(b"\r") == breaks and piece.count(b"\n") == breaks:
        return piece
    return _BARE.sub(b"\r\n", piece)


def _cut(body: bytes, splices: Sequence[int]) -> list[bytes]:
    """The body between the offsets, which must ascend and lie inside lines."""
    ends = [*splices, len(body)]
    starts = [0, *splices]
    if sorted(ends) != ends or ends[0] < 0:
        raise Unsendable("splices out of order")
    pieces = [body[start:end] for start, end in zip(starts, ends, strict=True)]
    if any(piece.endswith(b"\r") for piece in pieces[:-1]):
        raise Unsendable("splice inside a line break")
    return pieces


def _stuff(whole: bytes) -> bytes:
    """RFC 5321 4.5.2. A CUT becomes a token, so no dot behind it is a first."""
    stuffed = whole.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
