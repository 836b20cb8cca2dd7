from __future__ import annotations

import base64
import quopri
from email import message_from_bytes
from email.message import Message

import pytest

from lists.delivery.footer import Body, add
from smtpd import fields

LINK = "https://site.test/u/"
FOOTER = "____\nTalk list. Leave: {unsubscribe} (one click)\n"
TOKEN = b"k" * 29


def put(footer: str, head: str, body: bytes) -> Body | None:
    content, _ = fields.split(f"{head}\r\n".encode())
    return add(footer, LINK, content, body)


def copy_of(body: Body) -> bytes:
    """The copy of one recipient, spliced as smtpd does it."""
    pieces, last = [], 0
    for at in body.splices:
        pieces.append(body.raw[last:at])
        last = at
    pieces.append(body.raw[last:])
    return b"".join(body.content) + b"\r\n" + TOKEN.join(pieces)


def parsed(body: Body) -> Message:
    return message_from_bytes(copy_of(body))


def parts_of(message: Message) -> list[Message]:
    found = message.get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, Message)]


def text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode(part.get_content_charset("us-ascii")).replace("\r\n", "\n")


READABLE = f"____\nTalk list. Leave: {LINK}{TOKEN.decode()} (one click)\n"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("", b"Hello\r\n"),
        ("", b"Hello"),
        ("Content-Type: text/plain\r\n", b"Hello\r\n"),
        ('Content-Type: TEXT/PLAIN; charset="UTF-8"\r\n', b"Hello\r\n"),
        (
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n",
            "Grüße\r\n".encode(),
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\n"
            "Content-Transfer-Encoding: Quoted-Printable\r\n",
            b"Gr=FC=DFe =\r\nan alle=\r\n",
        ),
    ],
)
def test_plain_text_gets_it_appended(head: str, body: bytes) -> None:
    made = put(FOOTER, head, body)
    assert made is not None
    assert made.raw.startswith(body)
    message = parsed(made)
    assert message.get_content_type() == "text/plain"
    assert text_of(message).endswith(f"\n\n{READABLE}")


def test_a_footer_takes_the_charset_of_the_text() -> None:
    head = (
        "Content-Type: text/plain; charset=iso-8859-1\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
    )
    made = put("Tschüß {unsubscribe}", head, b"Gr=FC=DFe\r\n")
    assert made is not None
    assert text_of(parsed(made)) == f"Grüße\n\nTschüß {LINK}{TOKEN.decode()}\n"
    assert made.raw.isascii()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Type: text/html; charset=utf-8\r\n", b"<p>Hello</p>\r\n"),
        (
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: base64\r\n",
            base64.encodebytes(b"Hello\r\n"),
        ),
        ("Content-Type: text/plain; charset=utf-16\r\n", b"Hello\r\n"),
        ("Content-Type: text/plain\r\nContent-Type: text/html\r\n", b"Hello\r\n"),
        (
            "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n",
            b"Hello\r\n",
        ),
        (
            "Content-Type: multipart/alternative;\r\n boundary=b\r\n",
            b"--b\r\n\r\nHello\r\n"
            b"--b\r\nContent-Type: text/html\r\n\r\nHi\r\n--b--\r\n",
        ),
        (
            'Content-Type: multipart/signed; boundary="s"; micalg=sha1;\r\n'
            ' protocol="application/pgp-signature"\r\n',
            b"--s\r\n\r\nHello \r\n--s\r\n\r\nsignature\r\n--s--\r\n",
        ),
    ],
)
def test_everything_else_is_wrapped_byte_for_byte(head: str, body: bytes) -> None:
    made = put(FOOTER, head, body)
    assert made is not None
    boundary = made.raw.split(b"\r\n", 1)[0]
    first = made.raw.split(boundary)[1]
    assert first == b"\r\n" + head.encode() + b"\r\n" + body + b"\r\n"
    message = parsed(made)
    assert message.get_content_type() == "multipart/mixed"
    _, last = parts_of(message)
    # The last line break belongs to the boundary (RFC 2046 5.1.1).
    assert text_of(last) == READABLE.rstrip()


@pytest.mark.parametrize(
    "kind", ["multipart/encrypted; boundary=x", "application/pkcs7-mime"]
)
def test_what_is_encrypted_is_left_alone(kind: str) -> None:
    assert put(FOOTER, f"Content-Type: {kind}\r\n", b"x\r\n") is None


def test_a_footer_the_text_cannot_say_is_wrapped_and_encoded() -> None:
    made = put("Grüße {unsubscribe}", "", b"Hello\r\n")
    assert made is not None
    _, last = parts_of(parsed(made))
    assert text_of(last) == f"Grüße {LINK}{TOKEN.decode()}"
    assert made.raw.isascii()


def test_eight_bit_parts_are_said_by_the_whole() -> None:
    head = "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n"
    made = put(FOOTER, head, "<p>Grüße</p>".encode())
    assert made is not None
    assert parsed(made)["Content-Transfer-Encoding"] == "8bit"


def test_every_link_is_a_splice_and_lines_stay_short() -> None:
    head = (
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
    )
    long = "Grüße an alle und jeden, die das hier lesen wollen oder müssen. " * 3
    footer = f"{long}{{unsubscribe}}, {{unsubscribe}}"
    made = put(footer, head, b"a=C3=A4\r\n")
    assert made is not None
    assert len(made.splices) == 2
    copy = copy_of(made)
    assert max(map(len, copy.split(b"\r\n"))) <= 77
    link = LINK.encode() + TOKEN
    assert quopri.decodestring(copy).count(link) == 2


def test_a_footer_cannot_break_out_of_its_lines() -> None:
    made = put("a\r\x00b\x0bc", "", b"Hello\r\n")
    assert made is not None
    assert made.raw == b"Hello\r\n\r\nabc\r\n"


def test_a_boundary_in_the_body_is_avoided() -> None:
    head = "Content-Type: text/html\r\n"
    first = put("x", head, b"")
    assert first is not None
    boundary = first.raw.split(b"\r\n", 1)[0]
    made = put("x", head, b"Hello " + boundary)
    assert made is not None
    assert b"Hello " + boundary in made.raw
    assert len(parts_of(parsed(made))) == 2
