"""A report, from facts to bytes (RFC 3464, RFC 6522, RFC 6533). Pure.

It is written octet by octet: what it returns of a message is the sender's own
and is not re-serialised. To a reverse-path outside ASCII it goes with SMTPUTF8
and says everything in UTF-8; to any other it is ASCII, but for a body that was
not. Values from outside have been through `dsn` and `fields`, and none can
begin a field of its own.
"""

from __future__ import annotations

import quopri
import re
from base64 import encodebytes
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from smtpd import dsn, fields
from smtpd.dsn import Action
from smtpd.reports import words

_MSG_ID = re.compile(r"<[!-;=?A-~]{1,400}@[!-;=?A-~]{1,400}>")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MAX_SUBJECT = 200
_MAX_DIAGNOSTIC = 800


@dataclass(frozen=True, slots=True)
class Original:
    """The message that a report is about."""

    reverse_path: str
    subject: str
    msg_id: str
    key: str
    received_at: datetime
    # Its header fields; and all of it when the sender asked for that.
    head: bytes
    whole: bytes | None = None
    envid: str = ""
    needs_utf8: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What became of it for one recipient."""

    action: Action
    # As the sender wrote it.
    address: str
    orcpt: str = ""
    # The last reply: what may be said of it.
    status: str = ""
    code: int | None = None
    text: str = ""
    host: str = ""
    at: datetime | None = None
    # Of a delay: when it will be given up.
    until: datetime | None = None
    # Where somebody behind it is now, if that may be told.
    moved_to: str = ""
    # The address is somebody else's, not one of ours that others are behind.
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What is ours in a report."""

    hostname: str
    # postmaster@ this writes it.
    domain: str
    msg_id: str
    at: datetime
    # In no message yet: random.
    boundary: str


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    content: bytes
    encoding: str = "7bit"


def compose(original: Original, news: News, frame: Frame) -> bytes:
    """Write the report."""
    utf8 = not original.reverse_path.isascii()
    parts = (
        _words(original, news, frame),
        _status(original, news, frame, utf8=utf8),
        _returned(original, news, utf8=utf8),
    )
    delimiter = f"--{frame.boundary}".encode()
    body = [delimiter + b"\r\n" + _section(part) for part in parts]
    return b"".join(
        (*_head(original, news, frame), b"\r\n", *body, delimiter, b"--\r\n")
    )


def _head(original: Original, news: News, frame: Frame) -> Iterator[bytes]:
    subject = original.subject[:_MAX_SUBJECT] or "your message"
    yield fields.build("From", f"Mail delivery <postmaster@{frame.domain}>")
    yield f"To: <{original.reverse_path}>\r\n".encode()
    yield fields.build("Subject", f"{words.SUBJECTS[news.action]}: {subject}")
    yield fields.build("Date", format_datetime(frame.at))
    yield fields.build("Message-ID", frame.msg_id)
    if _MSG_ID.fullmatch(original.msg_id):
        yield f"In-Reply-To: {original.msg_id}\r\n".encode()
    yield b"Auto-Submitted: auto-replied\r\n"
    yield b"MIME-Version: 1.0\r\n"
    yield (
        b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
        b'\tboundary="' + frame.boundary.encode() + b'"\r\n'
    )


def _words(original: Original, news: News, frame: Frame) -> _Part:
    """For the person."""
    beginning = words.BEGINNINGS[news.action]
    if news.is_elsewhere and news.action is Action.FAILED:
        beginning = words.FAILED_ELSEWHERE
    reason = " ".join(filter(None, (str(news.code or ""), news.status, news.text)))
    is_good = news.action not in (Action.FAILED, Action.DELAYED)
    text = (beginning + words.DETAILS).format(
        address=news.address,
        subject=original.subject[:_MAX_SUBJECT],
        reason="" if is_good else words.REASON.format(reason=reason or "no answer"),
        moved=words.MOVED.format(mailbox=news.moved_to) if news.moved_to else "",
        key=original.key,
        domain=frame.domain,
        until=format_datetime(news.until) if news.until else "",
    )
    kind = "text/plain; charset=utf-8"
    return _text(kind, _clean_lines(text).encode())


def _status(original: Original, news: News, frame: Frame, *, utf8: bool) -> _Part:
    """For the machine (RFC 3464 2)."""
    message = [f"Reporting-MTA: dns; {frame.hostname}"]
    if original.envid:
        message.insert(0, f"Original-Envelope-Id: {dsn.decode(original.envid)}")
    message.append(f"Arrival-Date: {format_datetime(original.received_at)}")
    recipient = list(_recipient(news, utf8=utf8))
    lines = [*message, "", *recipient, ""]
    content = "".join(f"{line}\r\n" for line in lines).encode()
    if utf8:
        return _Part("message/global-delivery-status", content, "8bit")
    return _Part("message/delivery-status", content)


def _recipient(news: News, *, utf8: bool) -> Iterator[str]:
    """RFC 3464 2.3, in its order."""
    kind, address = dsn.original(news.orcpt)
    if kind.lower() == "utf-8":
        yield f"Original-Recipient: {dsn.typed(address, utf8=utf8)}"
    elif kind:
        yield f"Original-Recipient: {kind}; {address}"
    yield f"Final-Recipient: {dsn.typed(news.address, utf8=utf8)}"
    yield f"Action: {news.action}"
    yield f"Status: {news.status}"
    # RFC 3464 2.3.5: the name alone, and only where it tells something.
    host = _HOST.match(news.host)
    if host:
        yield f"Remote-MTA: dns; {host[0]}"
    if news.code:
        said = f"{news.code} {news.status} {news.text}".strip()
        text = said if utf8 else said.encode("ascii", "replace").decode()
        yield f"Diagnostic-Code: smtp; {_UNSEEN.sub(' ', text)[:_MAX_DIAGNOSTIC]}"
    if news.at:
        yield f"Last-Attempt-Date: {format_datetime(news.at)}"
    if news.until:
        yield f"Will-Retry-Until: {format_datetime(news.until)}"


def _returned(original: Original, news: News, *, utf8: bool) -> _Part:
    """The message, or its header (RFC 6522 4, RFC 3461 4.3)."""
    if original.whole is not None and news.action is Action.FAILED:
        return _whole(original, original.whole, utf8=utf8)
    if utf8 and original.needs_utf8:
        return _Part("message/global-headers", original.head, "8bit")
    if original.head.isascii():
        return _Part("text/rfc822-headers", original.head)
    text = original.head.decode("utf-8", "replace").encode()
    return _text("text/rfc822-headers; charset=utf-8", text)


def _whole(original: Original, whole: bytes, *, utf8: bool) -> _Part:
    if not original.needs_utf8 or original.head.isascii():
        return _Part("message/rfc822", whole, "7bit" if whole.isascii() else "8bit")
    if utf8:
        return _Part("message/global", whole, "8bit")
    # RFC 6532 3.7: it may be encoded, so that ASCII servers carry it.
    content = encodebytes(whole).replace(b"\n", b"\r\n")
    return _Part("message/global", content, "base64")


def _text(kind: str, text: bytes) -> _Part:
    if text.isascii():
        return _Part(kind, text)
    lines = quopri.encodestring(text.replace(b"\r\n", b"\n"))
    return _Part(kind, lines.replace(b"\n", b"\r\n"), "quoted-printable")


def _clean_lines(text: str) -> str:
    return "".join(f"{_UNSEEN.sub(' ', line)}\r\n" for line in text.split("\n")[:-1])


def _section(part: _Part) -> bytes:
    head = f"Content-Type: {part.kind}\r\nContent-Transfer-Encoding: {part.encoding}"
    # The line break before a delimiter belongs to it (RFC 2046 5.1.1).
    return head.encode() + b"\r\n\r\n" + part.content + b"\r\n"
