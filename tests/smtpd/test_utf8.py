"""When a copy needs SMTPUTF8: by what stands in it (RFC 6531 3.4)."""

from __future__ import annotations

import pytest

from smtpd.utf8 import is_needed

PLAIN = b"From: a@b.test\r\nSubject: x\r\n"
PARTS = PLAIN + b'Content-Type: multipart/mixed; boundary="x"\r\n'


def part(head: str, body: str = "Hi") -> bytes:
    return f"--x\r\n{head}\r\n\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    ("head", "body", "needed"),
    [
        (PLAIN, b"Hi\r\n", False),
        # Eight bits of a body are 8BITMIME's business.
        (PLAIN, "Grüße\r\n".encode(), False),
        (PLAIN, part("Subject: ü"), False),
        ("To: grün@b.test\r\n".encode(), b"", True),
        (PARTS, part("Content-Type: text/plain", "Grüße"), False),
        (PARTS, part("Content-Description: Grüße"), True),
        (PARTS, part("A: b") + part("A: ü"), True),
        (PARTS, part("Content-Type: message/global", "To: ü"), True),
    ],
)
def test_is_needed(head: bytes, body: bytes, *, needed: bool) -> None:
    assert is_needed(head, body) == needed
