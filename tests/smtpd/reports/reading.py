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
        parts = self.mail.get_payload()
        assert isinstance(parts, list)
        return [part.get_content_type() for part in parts if isinstance(part, Message)]


def read(raw: bytes) -> Read:
    """Also what every report has to be (RFC 3464 2, RFC 6522 3)."""
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = email.message_from_bytes(raw)
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    assert mail["Auto-Submitted"] == "auto-replied"
    text, status, returned = mail.get_payload()
    for part in (text, status, returned):
        assert isinstance(part, Message)
        assert not part.defects
    words = text.get_payload(decode=True)
    assert isinstance(words, bytes)
    blocks = status.get_payload()
    if isinstance(blocks, str):
        # The parser knows no message/global-delivery-status.
        octets = status.get_payload(decode=True)
        assert isinstance(octets, bytes)
        blocks = [
            email.message_from_string(block + "\n\n")
            for block in octets.decode().replace("\r\n", "\n").strip().split("\n\n")
        ]
    if status.get_content_type() == "message/global-delivery-status":
        octets = raw.partition(b"global-delivery-status")[2]
        octets = octets.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
        blocks = [
            email.message_from_string(block)
            for block in octets.decode().replace("\r\n", "\n").split("\n\n")
        ]
    blocks = [block for block in blocks if block.keys()]
    assert len(blocks) == 2
    return Read(mail, words.decode(), blocks[0], blocks[1], returned)
