"""No message can end itself for the next server."""

from __future__ import annotations

import pytest

from smtpd.outbound.render import Parts, Unsendable, compile_parts

HEAD = b"Subject: a\r\n"


def copy(parts: Parts, token: str = "t0ken") -> bytes:
    return compile_parts(parts, None, signed_at=0).copy(token)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.\r\nMAIL FROM:<x>\r\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n"),
        (b"\r\n.", b"\r\n..\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\n\r\n..\r\n"),
        (b"a\r", b"a\r\n"),
    ],
)
def test_body_is_stuffed_and_every_line_ends_in_crlf(body: bytes, sent: bytes) -> None:
    assert copy(Parts(HEAD, b"", body)) == HEAD + b"\r\n" + sent + b".\r\n"


def test_token_goes_where_it_belongs_and_nowhere_else() -> None:
    parts = Parts(
        b"Subject: {token}\r\n", b"X: <{token}>\r\nY: {token}\r\n", b"{token} ()", (9,)
    )
    assert copy(parts) == (
        b"Subject: {token}\r\nX: <t0ken>\r\nY: t0ken\r\n\r\n{token} (t0ken)\r\n.\r\n"
    )


def test_dot_behind_a_token_is_not_stuffed() -> None:
    assert copy(Parts(HEAD, b"", b"x\r\n.y\r\n", (3,))).endswith(
        b"\r\nx\r\nt0ken.y\r\n.\r\n"
    )


def test_header_line_that_begins_with_a_dot_is_stuffed() -> None:
    assert copy(Parts(b".x: 1\r\n.y: 2\r\n", b"", b"")) == (
        b"..x: 1\r\n..y: 2\r\n\r\n.\r\n"
    )


@pytest.mark.parametrize(
    "parts",
    [
        Parts(b"Subject: a", b"", b""),
        Parts(b"Subject: a\r\n\r\nbody\r\n", b"", b""),
        Parts(b"Subject: a\n\nbody\n", b"", b""),
        Parts(b"\r\nSubject: a\r\n", b"", b""),
        Parts(b" half\r\n", b"", b""),
        Parts(HEAD, b"\r\n", b""),
        Parts(HEAD, b"X: 1", b""),
        Parts(HEAD, b"", b"a\0b"),
        Parts(b"Subject: \0\r\n", b"", b""),
        Parts(HEAD, b"", b"a\r\nb", (2,)),
        Parts(HEAD, b"", b"abc", (2, 1)),
        Parts(HEAD, b"", b"abc", (4,)),
        Parts(HEAD, b"", b"abc", (-1,)),
    ],
)
def test_what_is_no_message_is_not_sent(parts: Parts) -> None:
    with pytest.raises(Unsendable):
        copy(parts)


def test_only_copies_without_token_are_alike() -> None:
    def alike(parts: Parts) -> bool:
        return compile_parts(parts, None, signed_at=0).is_same_for_all

    assert alike(Parts(HEAD, b"X: 1\r\n", b"a"))
    assert not alike(Parts(HEAD, b"X: {token}\r\n", b"a"))
    assert not alike(Parts(HEAD, b"", b"a", (1,)))
