"""A message as a person reads it: text, HTML, attachments, links.

Read only to be shown. Mail from outside is hostile: size, parts and nesting
are fenced, and whatever the standard parser trips over becomes a Letter that
says so, never an error page. The raw bytes are always there to look at.
"""

from __future__ import annotations

import codecs
import email
import email.policy
import re
from dataclasses import dataclass, field
from email.message import Message as Part

import nh3

from smtpd import fields

# More is not parsed; the rest is in the raw view.
MAX_READ = 4_000_000
# What is shown of one text.
MAX_TEXT = 200_000
MAX_LINES = 100_000
MAX_PARTS = 100
MAX_LINKS = 20
# The parser compares every line with every open boundary.
MAX_BOUNDARIES = 100

# Decoders that are no character sets, or take quadratic time.
_NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
# What the standard library is known to raise on hostile mail.
_PARSER_TRIPS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)
_URI = re.compile(r"<\s*([^<>\s]{1,2000})\s*>")
_LINK = re.compile(r'<a [^>]*?href="(https?://[^"]{1,2000})"')


@dataclass(frozen=True, slots=True)
class Attachment:
    """What stands in a mail beside its text."""

    name: str
    kind: str
    size: int


@dataclass(slots=True)
class Letter:
    """What could be read; `problem` says in a sentence what could not."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    # The URIs of List-Unsubscribe (RFC 2369 3.2), and whether one POST is
    # enough (RFC 8058 3.1).
    unsubscribe: list[str] = field(default_factory=list)
    is_one_click: bool = False
    # Where the HTML leads: its frame is shut, so they stand below it.
    links: list[str] = field(default_factory=list)
    problem: str = ""


def read(raw: bytes) -> Letter:
    """Read a message for showing. Never fails, whatever the bytes are."""
    letter = Letter()
    _read_headers(raw, letter)
    if len(raw) > MAX_READ:
        letter.problem = "It is too big to be taken apart here. The source is whole."
        return letter
    if raw.count(b"\n") > MAX_LINES:
        letter.problem = "It has too many lines to be taken apart here."
        return letter
    if raw.lower().count(b"boundary") > MAX_BOUNDARIES:
        letter.problem = "It has too many parts to be taken apart here."
        return letter
    try:
        _read_parts(raw, letter)
    except _PARSER_TRIPS:
        letter.problem = "Its parts could not be read. The source is whole."
    letter.links = list(dict.fromkeys(_LINK.findall(letter.html)))[:MAX_LINKS]
    letter.links = [link.replace("&amp;", "&") for link in letter.links]
    return letter


def _read_headers(raw: bytes, letter: Letter) -> None:
    try:
        found, _ = fields.split(raw)
    except fields.TooMany:
        letter.headers = [("", "The header section is too big to be shown.")]
        return
    letter.headers = [
        (
            part.raw.partition(b":")[0].decode("ascii", "replace"),
            fields.text(part.value),
        )
        for part in found
        if part.name
    ]
    for name, value in letter.headers:
        if name.lower() == "list-unsubscribe":
            letter.unsubscribe += _URI.findall(value)[:MAX_LINKS]
        elif name.lower() == "list-unsubscribe-post":
            letter.is_one_click = value.lower() == "list-unsubscribe=one-click"


def _read_parts(raw: bytes, letter: Letter) -> None:
    """Take the first text and the first HTML; the rest is attached."""
    waiting: list[Part] = [email.message_from_bytes(raw, policy=email.policy.compat32)]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        payload = part.get_payload()
        if isinstance(payload, list):
            waiting[:0] = [inner for inner in payload if isinstance(inner, Part)]
        else:
            _read_part(part, letter)
    letter.problem = f"Only its first {MAX_PARTS} parts are shown."


def _read_part(part: Part, letter: Letter) -> None:
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    kind = part.get_content_type()
    attached = part.get_content_disposition() == "attachment"
    if kind == "text/plain" and not attached and not letter.text:
        letter.text = _decode(data, part)[:MAX_TEXT]
    elif kind == "text/html" and not attached and not letter.html:
        letter.html = clean(_decode(data, part)[:MAX_TEXT])
    else:
        name = part.get_filename() or ""
        letter.attachments.append(
            Attachment(fields.text(name.encode("utf-8", "replace")), kind, len(data))
        )


def _decode(data: bytes, part: Part) -> str:
    """The text in its own charset; UTF-8 when it has none that we know."""
    name = str(part.get_content_charset() or "utf-8")
    try:
        known = codecs.lookup(name).name
        if known in _NO_CHARSETS:
            known = "utf-8"
        text = data.decode(known, "replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\x00", "\ufffd")


def clean(html: str) -> str:
    """HTML without scripts, forms, frames and anything loaded from elsewhere."""
    return nh3.clean(
        html,
        attributes={
            **nh3.ALLOWED_ATTRIBUTES,
            "*": {"style", "align", "dir", "lang", "title"},
        },
        url_schemes={"http", "https", "mailto", "data"},
        attribute_filter=_keep,
    )


def _keep(tag: str, name: str, value: str) -> str | None:
    """Data URLs are for pictures, and pictures are data URLs."""
    is_data = value.lstrip().lower().startswith("data:")
    if tag == "img" and name == "src":
        return value if value.lstrip().lower().startswith("data:image/") else None
    return None if is_data else value
