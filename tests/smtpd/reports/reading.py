"""A report taken apart by somebody else's parser."""

from __future__ import annotations

import email
from dataclasses import dataclass
from email.message import Message


@dataclass(frozen=True)
class Read:
    mail: Message
    text: str
    # Of the message, and of the one recipient.
    message: Message
    recipient: Message
    returned: Message

    @property
    def kinds(self) -> list[str]:
        return [part.get_content_type() for part in _parts(self.mail)]


def read(raw: bytes) -> Read:
    """Also what every report has to be (RFC 3464 2, RFC 6522 3)."""
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = email.message_from_bytes(raw)
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    assert mail["Auto-Submitted"] == "auto-replied"
    text, _, returned = _parts(mail)
    words = text.get_payload(decode=True)
    assert isinstance(words, bytes)
    message, recipient = _blocks(raw)
    return Read(mail, words.decode(), message, recipient, returned)


def _parts(mail: Message) -> list[Message]:
    parts = mail.get_payload()
    assert isinstance(parts, list)
    found = [part for part in parts if isinstance(part, Message)]
    assert not any(part.defects for part in found)
    return found


def _blocks(raw: bytes) -> list[Message]:
    """RFC 3464 2.1: by empty lines. The parser knows no global-delivery-status."""
    part = raw.split(b"delivery-status\r\nContent-Transfer-Encoding", 1)[1]
    content = part.partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n--")[0]
    blocks = content.decode().replace("\r\n", "\n").split("\n\n")
    return [email.message_from_string(block + "\n\n") for block in blocks]
