"""A message as its author writes it on a page, made mail (RFC 5322). Pure.

Everything comes from a form, so nothing is trusted: a control character in a
field is an error, never a header field of the writer's choice. The lines are
short and ASCII whatever the text is, so that no server on the way has a reason
to change them and break our signature.
"""

from __future__ import annotations

import quopri
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from smtpd import fields
from smtpd.paths import Path

# RFC 5322 2.1.1 asks for at most 78; quotes of quotes need some room.
WIDTH = 72
# RFC 5322 2.1.1: octets that no line may exceed.
LINE_OCTETS = 998
SIGNATURE = "-- "
# RFC 5322 3.6.4, narrower: what has other characters is nobody's identifier,
# and what looks like an encoded word would be decoded by somebody.
_MSG_ID = re.compile(r"<(?!\S*=\?)[!-;=?-~]{1,240}@[!-;=?-~]{1,240}>")
# The first message of a thread and the last ones are enough to find it.
MAX_REFERENCES = 12
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to one address; `author` is proven to be the writer's own."""

    author: Path
    to: Path
    subject: str
    text: str
    # With its angle brackets.
    msg_id: str
    author_name: str = ""
    # What it answers, the oldest first: the last one is its parent.
    references: tuple[str, ...] = ()

    def compose(self, at: datetime) -> bytes:
        """Return the message; ValueError for a control character anywhere."""
        if found := control_in(self.text):
            raise ValueError(f"text with control character {ord(found):#x}")
        body = _body(self.text)
        is_plain = body.isascii() and max(map(len, body.split(b"\r\n"))) <= LINE_OCTETS
        if not is_plain:
            lines = quopri.encodestring(body.replace(b"\r\n", b"\n"))
            body = lines.replace(b"\n", b"\r\n")
        encoding = "7bit" if is_plain else "quoted-printable"
        head = [
            _mailbox("From", self.author_name, self.author),
            _mailbox("To", "", self.to),
            fields.build("Subject", self.subject),
            fields.build("Date", format_datetime(at)),
            fields.build("Message-ID", self.msg_id),
            *self._thread(),
            fields.build("MIME-Version", "1.0"),
            fields.build("Content-Type", "text/plain; charset=utf-8; format=flowed"),
            fields.build("Content-Transfer-Encoding", encoding),
        ]
        return b"".join(head) + b"\r\n" + body

    def _thread(self) -> Iterator[bytes]:
        """In-Reply-To and References (RFC 5322 3.6.4)."""
        if self.references:
            yield fields.build("In-Reply-To", self.references[-1])
            yield fields.build("References", " ".join(self.references))


def control_in(text: str) -> str:
    """The first character of a text that no mail may carry, else "".

    Line ends and tabs may stand in it; half a surrogate pair may not.
    """
    allowed = "\r\n\t"
    return next(
        (
            c
            for c in text
            if unicodedata.category(c) in ("Cc", "Cs") and c not in allowed
        ),
        "",
    )


def thread(parent_references: bytes, parent_msg_id: str) -> tuple[str, ...]:
    """What an answer refers to, from the fields of the message it answers.

    They are a stranger's: only what is an identifier is taken over, and of
    those no more than are needed to find the thread.
    """
    if not _MSG_ID.fullmatch(parent_msg_id):
        return ()
    before = _MSG_ID.findall(parent_references.decode("ascii", "replace"))
    known = list(dict.fromkeys([*before, parent_msg_id]))
    known.remove(parent_msg_id)
    return (*known[:1], *known[1:][-(MAX_REFERENCES - 2) :], parent_msg_id)


def quote(text: str, *, limit: int) -> str:
    """The text as an answer quotes it, `limit` characters of it at most."""
    quoted = []
    for line in _lines(text[:limit].strip()):
        prefix = ">" if line.startswith(">") else "> "
        quoted += [f"{prefix}{part}".rstrip() for part in _pieces(line)]
    return "\n".join(quoted)


def _mailbox(name: str, display: str, path: Path) -> bytes:
    """`Name <mailbox>`; only the name is ever encoded (RFC 2047 5)."""
    if fields.control_in(f"{display}{path}"):
        raise ValueError(f"header field {name!r} with control characters")
    if not display:
        return f"{name}: {path}\r\n".encode()
    if display.isascii() and "=?" not in display:
        return f"{name}: {fields.mailbox(display, str(path))}\r\n".encode()
    phrase = Header(display, "utf-8", 75, name).encode(linesep="\r\n")
    return f"{name}: {phrase}\r\n <{path}>\r\n".encode()


def _lines(text: str) -> list[str]:
    return _LINE_END.split(text)


def _body(text: str) -> bytes:
    """The text in short lines that a reader puts together again (RFC 3676)."""
    lines = [part for line in _lines(text.rstrip()) for part in _flowed(line)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _flowed(line: str) -> list[str]:
    """One line as RFC 3676 4.2 writes it: a space at the end goes on.

    A quotation stays as it is; everything else that a reader would take for
    a quotation, a mailbox separator or stuffing is stuffed (4.4).
    """
    if line == SIGNATURE:
        return [line]
    line = line.rstrip(" ")
    if line.startswith(">"):
        return [line]
    return [
        f" {part}" if part.startswith((" ", "From ", ">")) else part
        for part in _pieces(line)
    ]


def _pieces(line: str) -> list[str]:
    """Cut a line behind spaces; a word that is longer stays whole."""
    pieces = []
    while len(line) > WIDTH:
        at = (line.rfind(" ", 1, WIDTH) + 1) or (line.find(" ", WIDTH) + 1)
        if not at:
            break
        pieces.append(line[:at])
        line = line[at:]
    return [*pieces, line]
