from __future__ import annotations

import time

import pytest

from smtpd.letter import MAX_PARTS, MAX_READ, clean, read

HEAD = b"From: a@x.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n"


def nested(depth: int) -> bytes:
    raw = HEAD
    for level in range(depth):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (
            level,
            level,
        )
    return raw + b"Content-Type: text/plain\r\n\r\ndeep\r\n"


def test_text_html_and_attachment_are_told_apart() -> None:
    letter = read(
        HEAD
        + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        + b"--x\r\nContent-Type: text/plain; charset=latin-1\r\n\r\ncaf\xe9\r\n"
        + b"--x\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n"
        + b"--x\r\nContent-Type: application/pdf\r\n"
        + b"Content-Disposition: attachment; filename=a.pdf\r\n\r\nPDF\r\n--x--\r\n"
    )
    assert letter.text.strip() == "café"
    assert letter.html.strip() == "<b>hi</b>"
    assert [part.name for part in letter.attachments] == ["a.pdf"]
    assert not letter.problem


def test_the_way_off_a_list_is_read() -> None:
    letter = read(
        b"List-Unsubscribe: <http://testserver/u/t>,\r\n <mailto:leave@x.test>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n"
    )
    assert letter.unsubscribe == ["http://testserver/u/t", "mailto:leave@x.test"]
    assert letter.is_one_click


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"junk\x00\xff",
        nested(90),
        nested(3000),
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 3000,
        HEAD + b"Content-Type: text/plain; charset=rot13\r\n\r\nx",
        HEAD + b"Content-Type: text/plain; charset=zip\r\n\r\nx",
        HEAD + b"Content-Type: text/plain; charset=\xff\xfe\r\n\r\n\xff",
        HEAD + b"Content-Type: text/plain; charset*=a'b'c%zz\r\n\r\nx",
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n=====\xff",
        HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n\xff",
        HEAD + b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n',
        HEAD + b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        HEAD + b"Content-Disposition: attachment; filename*=\xff''%\r\n\r\nx",
        b"Subject: =?utf-8?b?" + b"A" * 70000 + b"?=\r\n\r\n",
        b"X: y\r\n" * 5000 + b"\r\n",
        HEAD + b"\r\n" + b"x" * (MAX_READ + 1),
    ],
)
def test_no_mail_breaks_the_reader(raw: bytes) -> None:
    started = time.monotonic()
    letter = read(raw)
    assert time.monotonic() - started < 5
    assert isinstance(letter.text, str)


def test_what_was_not_read_is_said() -> None:
    assert read(HEAD + b"\r\n" + b"x" * (MAX_READ + 1)).problem
    assert read(nested(3000)).problem
    parts = b"--x\r\n\r\nbody\r\n" * (MAX_PARTS + 5)
    many = HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + parts
    assert read(many).problem


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<iframe src=//evil.test></iframe>",
        "<form action=//evil.test><input></form>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='data:text/html,<script>'>x</a>",
        "<img src='data:text/html,x'>",
        "<img src='http://evil.test/x.png'>",
        "<meta http-equiv=refresh content='0;url=//evil.test'>",
        "<svg><script>alert(1)</script></svg>",
    ],
)
def test_html_loses_whatever_acts(html: str) -> None:
    left = clean(html).lower()
    for bad in ("script", "onerror", "evil", "data:", "<form", "<iframe", "<meta"):
        assert bad not in left


def test_a_picture_inside_the_mail_stays() -> None:
    assert "data:image/png;base64,AA" in clean("<img src='data:image/png;base64,AA'>")
