"""Address fields by where their parts stand, so that octets can be put between.

smtpd.fields reads what a field says; here it is taken apart without being
changed, and strictly: whoever sends in a name of ours writes an author that
every program reads the same way. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ATEXT = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-"
_DOT_ATOM = re.compile(rb"[%b]+(?:\.[%b]+)*" % (_ATEXT, _ATEXT))
# A display name outside quotes; real ones have dots (RFC 5322 4.1).
_PHRASE = re.compile(rb"[%b. \t\r\n]*" % _ATEXT)
# Without brackets around it.
_MAILBOX = re.compile(rb"[%b.@]+" % _ATEXT)
_TOKEN = re.compile(
    rb'(?P<quoted>"(?:[^"\\]|\\.)*"?)|(?P<angle><[^<>]*>?)|(?P<open>\()'
    rb'|(?P<end>[,;])|(?P<group>:)|(?P<word>[^"<(,;:]+)',
    re.DOTALL,
)
_COMMENT = re.compile(rb"\\.|[()]|[^\\()]+|\\", re.DOTALL)
# What some readers of a comment take for its end, or for the begin of a quote.
_ODD = re.compile(rb'["\\<>\[\]]')
_BLANK = b" \t\r\n"


class Unclear(ValueError):
    """Two programs could read two authors out of it."""


# Kind, begin and end.
_Token = tuple[str, int, int]


@dataclass(slots=True)
class _Piece:
    """One mailbox: what stands between two commas, comments left out."""

    tokens: list[_Token] = field(default_factory=list)
    # The name of the group that begins with it.
    group: list[_Token] = field(default_factory=list)


def qualify(raw: bytes, domain: bytes) -> bytes:
    """Put the domain behind each mailbox that is a bare local part.

    Only where it is beyond doubt: `sam` and `Sam <sam>`, not a quoted string
    and no two words. Everything else stays as it is.
    """
    done: list[bytes] = []
    at = 0
    for end in sorted(_bare_ends(raw)):
        done += [raw[at:end], b"@", domain]
        at = end
    return b"".join((*done, raw[at:]))


def count(raw: bytes) -> int:
    """How many mailboxes a field names; raise Unclear unless it is plain."""
    pieces = _pieces(raw)
    for piece in pieces:
        _refuse_unclear_name(raw, piece.group)
        if piece.tokens:
            _refuse_unclear(raw, piece.tokens)
    return sum(bool(piece.tokens) for piece in pieces)


def _bare_ends(raw: bytes) -> list[int]:
    """Where the bare local parts end."""
    found = []
    for piece in _pieces(raw):
        angles = [
            (begin + 1, end - 1)
            for kind, begin, end in piece.tokens
            if kind == "angle" and raw.endswith(b">", begin, end)
        ]
        words = [(begin, end) for kind, begin, end in piece.tokens if kind == "word"]
        alone = angles or (words if len(piece.tokens) == 1 else [])
        if len(alone) == 1:
            begin, end = alone[0]
            text = raw[begin:end]
            if _DOT_ATOM.fullmatch(text.strip(_BLANK)):
                found.append(begin + len(text.rstrip(_BLANK)))
    return found


def _refuse_unclear(raw: bytes, tokens: list[_Token]) -> None:
    """Either `name <mailbox>` with nothing behind it, or a mailbox alone."""
    kind, begin, end = tokens[-1]
    if kind == "word" and len(tokens) == 1:
        if not _MAILBOX.fullmatch(raw[begin:end].strip(_BLANK)):
            raise Unclear("more than a mailbox, without brackets")
        return
    if kind != "angle" or not raw.endswith(b">", begin, end):
        raise Unclear("something behind the mailbox")
    _refuse_unclear_name(raw, tokens[:-1])


def _refuse_unclear_name(raw: bytes, tokens: list[_Token]) -> None:
    """Only words and whole quotes."""
    for kind, begin, end in tokens:
        text = raw[begin:end]
        is_quote = kind == "quoted" and len(text) > 1 and text.endswith(b'"')
        if not is_quote and not (kind == "word" and _PHRASE.fullmatch(text)):
            raise Unclear("a name with special characters outside quotes")


def _pieces(raw: bytes) -> list[_Piece]:
    """Cut the value at its commas. The name of a group is no mailbox."""
    pieces = [_Piece()]
    for kind, begin, end in _tokens(raw):
        if kind == "end":
            pieces.append(_Piece())
        elif kind == "group":
            pieces[-1].group += pieces[-1].tokens
            pieces[-1].tokens = []
        elif raw[begin:end].strip(_BLANK):
            pieces[-1].tokens.append((kind, begin, end))
    return pieces


def _tokens(raw: bytes) -> list[_Token]:
    """Kind, begin and end of each token of the value outside comments."""
    found: list[_Token] = []
    at = raw.index(b":") + 1
    while at < len(raw):
        match = _TOKEN.match(raw, at)
        if match is None:
            # Half a bracket or quote: nothing behind it can be told apart.
            found.append(("broken", at, len(raw)))
            break
        at = match.end()
        if match.lastgroup == "open":
            at = _behind_comment(raw, at)
            is_closed = raw.endswith(b")", 0, at)
            if not is_closed or _ODD.search(raw, match.start(), at):
                found.append(("odd", match.start(), at))
        else:
            found.append((match.lastgroup or "", match.start(), at))
    return found


def _behind_comment(raw: bytes, at: int) -> int:
    """Comments nest, and quotes mean nothing in them (RFC 5322 3.2.2)."""
    depth = 1
    for match in _COMMENT.finditer(raw, at):
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return len(raw)
