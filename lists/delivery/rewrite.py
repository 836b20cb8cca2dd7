"""A post as its subscribers get it: header fields taken out and put in. Pure.

What stays, stays byte for byte and in its order. Our fields go behind the
author's, so that the trace fields keep together at the top (RFC 5321 4.4),
and a signature over the author's fields finds them where they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from urllib.parse import quote

from lists.delivery import footer, subject
from smtpd import fields
from smtpd.fields import Field

# Written by whoever had the message before us, about his own business with
# it, or an order to the recipient's mail program that every reader of a list
# would carry out.
DROPPED = frozenset(
    {
        "precedence",
        "return-path",
        "delivered-to",
        "archived-at",
        "content-length",
        # RFC 5322 3.6.3: nobody but those named in it may see it.
        "bcc",
        "resent-bcc",
        "approved",
        "approve",
        "x-approved",
        "x-approve",
        "urgent",
        "disposition-notification-to",
        "disposition-notification-options",
        "return-receipt-to",
        "x-confirm-reading-to",
    }
)
DROPPED_KINDS = ("list-", "x-mailman-")


@dataclass(frozen=True, slots=True)
class Style:
    """How a list wants its posts to look."""

    name: str
    # local-part@domain, and the same for a suffix.
    address: str
    domain: str
    list_id: str
    # The site; no slash at its end.
    base_url: str
    subject_prefix: str = ""
    footer: str = ""
    replies_go_to_list: bool = False
    is_announce: bool = False
    is_archived: bool = False

    @property
    def url(self) -> str:
        """The page of the list."""
        return f"{self.base_url}/lists/{quote(self.address, safe='@')}/"

    def mailto(self, suffix: str = "") -> str:
        """`mailto:` one of the list's addresses (RFC 6068 2)."""
        local_part, _, domain = self.address.rpartition("@")
        return f"mailto:{quote(local_part + suffix)}@{domain}"


@dataclass(frozen=True, slots=True)
class Original:
    """The post as it came."""

    raw: bytes
    # Our own Received field.
    trace: bytes
    msg_id: str
    received_at: datetime
    # What its page in the archive is called.
    number: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """The fields of smtpd's Outgoing."""

    head: bytes
    copy_head: bytes
    # None: the body as it came.
    body: bytes | None
    splices: tuple[int, ...] = ()


def rewrite(style: Style, original: Original) -> Compiled:
    """Compile what all copies share, and where they differ.

    Same post, same bytes: compiling twice changes nothing. From is left
    alone, whoever wrote it.
    """
    found, body_at = fields.split(original.raw)
    kept = tuple(field for field in found if _stays(style, field))
    body = _with_footer(style, kept, original.raw[body_at:])
    head = [original.trace, *_author_head(style, kept, is_rewrapped=body is not None)]
    head += _missing(kept, original, needs_mime=body is not None)
    if body is not None:
        head += body.content
    head += _list_head(style, original)
    return Compiled(
        b"".join(head),
        _copy_head(style),
        body.raw if body else None,
        body.splices if body else (),
    )


def _stays(style: Style, field: Field) -> bool:
    """A line that is no field at all goes: some would read the body from there."""
    if field.name == "reply-to":
        return not style.replies_go_to_list
    return (
        bool(field.name)
        and field.name not in DROPPED
        and not field.name.startswith(DROPPED_KINDS)
    )


def _with_footer(
    style: Style, kept: tuple[Field, ...], body: bytes
) -> footer.Body | None:
    if not style.footer.strip():
        return None
    content = tuple(field for field in kept if field.name.startswith("content-"))
    return footer.add(style.footer, f"{style.base_url}/u/", content, body)


def _author_head(
    style: Style, kept: tuple[Field, ...], *, is_rewrapped: bool
) -> list[bytes]:
    """The author's fields; Content-* come back with the body if that changed."""
    old = next((field for field in kept if field.name == "subject"), None)
    head = []
    for field in kept:
        if field is old and style.subject_prefix.strip():
            head.append(subject.prefixed(style.subject_prefix, field))
        elif not (is_rewrapped and field.name.startswith("content-")):
            head.append(field.raw)
    if old is None and style.subject_prefix.strip():
        head.append(subject.prefixed(style.subject_prefix, None))
    return head


def _missing(
    kept: tuple[Field, ...], original: Original, *, needs_mime: bool
) -> list[bytes]:
    """What a message must have (RFC 5322 3.6) and this one has not."""
    names = {field.name for field in kept if field.value}
    made = []
    if "date" not in names:
        made.append(fields.build("Date", format_datetime(original.received_at)))
    if "message-id" not in names:
        made.append(fields.build("Message-ID", original.msg_id))
    if needs_mime and "mime-version" not in names:
        made.append(fields.build("MIME-Version", "1.0"))
    return made


def _list_head(style: Style, original: Original) -> list[bytes]:
    """RFC 2369, RFC 2919, RFC 5064; Precedence keeps old responders quiet."""
    post = "NO" if style.is_announce else f"<{style.mailto()}>"
    head = [
        _list_id(style),
        plain("List-Help", f"<{style.mailto('-request')}?subject=help>, <{style.url}>"),
        plain("List-Subscribe", f"<{style.url}>, <{style.mailto('-join')}>"),
        plain("List-Post", post),
        plain("List-Owner", f"<{style.mailto('-owner')}>"),
    ]
    if style.is_archived:
        head += [
            plain("List-Archive", f"<{style.url}posts/>"),
            plain("Archived-At", f"<{style.url}posts/{original.number}/>"),
        ]
    head.append(plain("Precedence", "list"))
    if style.replies_go_to_list:
        head.append(plain("Reply-To", style.address))
    return head


def _list_id(style: Style) -> bytes:
    """`Name <id.domain>` (RFC 2919 3); only the name is ever encoded."""
    name = fields.text(style.name.encode())
    if name.isascii():
        quoted = fields.mailbox(name, style.list_id) if name else ""
        return plain("List-Id", quoted or f"<{style.list_id}>")
    phrase = Header(name, "utf-8", 75, "List-Id").encode(linesep="\r\n")
    return b"List-Id: %s\r\n <%s>\r\n" % (phrase.encode(), style.list_id.encode())


def _copy_head(style: Style) -> bytes:
    """RFC 8058 3: one https URI of this very subscription, in one POST."""
    return b"".join(
        (
            f"List-Unsubscribe: <{style.base_url}/u/{{token}}>,\r\n".encode(),
            f" <mailto:leave+{{token}}@{style.domain}>\r\n".encode(),
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        )
    )


def plain(name: str, value: str) -> bytes:
    """One field; an address with UTF-8 stands as it is (RFC 6532 3.2)."""
    if value.isascii():
        return fields.build(name, value)
    if not value.isprintable():
        raise ValueError(f"header field {name!r} with control characters")
    return f"{name}: {value}\r\n".encode()
