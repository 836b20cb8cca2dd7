"""Header fields on bytes: split, read, build."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd import fields


def test_fields_come_back_byte_for_byte() -> None:
    raw = b"From: a@x.com\r\nSubject: one\r\n two\r\n\r\nbody\r\n"
    found, body_at = fields.split(raw)
    assert [field.name for field in found] == ["from", "subject"]
    assert b"".join(field.raw for field in found) == raw[: body_at - 2]
    assert found[1].value == b"one two"
    assert raw[body_at:] == b"body\r\n"


@pytest.mark.parametrize(
    ("raw", "names", "body"),
    [
        (b"\r\nbody", [], b"body"),
        (b"Subject: x", ["subject"], b""),
        (b"Subject : x\r\n\r\n", ["subject"], b""),
        (b"From a@b Mon\r\nTo: x\r\n\r\n.", ["", "to"], b"."),
        (b" folded first\r\nTo: x\r\n\r\n", ["", "to"], b""),
    ],
)
def test_odd_headers_are_kept(raw: bytes, names: list[str], body: bytes) -> None:
    found, body_at = fields.split(raw)
    assert [field.name for field in found] == names
    assert raw[body_at:] == body


def test_a_monstrous_header_is_refused() -> None:
    with pytest.raises(fields.TooMany):
        fields.split(b"X: y\r\n" * 2000 + b"\r\n")
    with pytest.raises(fields.TooMany):
        fields.split(b"X: " + b"y" * 300_000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?caf=C3=A9?= =?utf-8?b?4oKs?=", "café€"),
        (b"=?utf-8?q?a_b?= c", "a b c"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"=?utf-8?q?x=0D=0ABcc:_y@z?=", "x Bcc: y@z"),
        (b"=?nonsense?q?x=41?=", "xA"),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
    ],
)
def test_text_is_what_a_person_should_see(value: bytes, shown: str) -> None:
    assert fields.text(value) == shown


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"a@x.com", [("", "a@x.com")]),
        (b"Anne <a@x.com>", [("Anne", "a@x.com")]),
        (
            b'"Doe, Anne" <a@x.com>, b@y.com',
            [("Doe, Anne", "a@x.com"), ("", "b@y.com")],
        ),
        (b"a@x.com (Anne (of) Green)", [("", "a@x.com")]),
        (b"team: a@x.com, b@y.com;", [("", "a@x.com"), ("", "b@y.com")]),
        (b"=?utf-8?q?J=C3=B6rg?= <j@x.com>", [("Jörg", "j@x.com")]),
        (b'"a@evil.com" <b@y.com>', [("a@evil.com", "b@y.com")]),
        (b"a@x.com)b@y.com", [("", "a@x.comb@y.com")]),
        (b'"un\\"quoted" <a@x.com>', [('un"quoted', "a@x.com")]),
        (b"<>", []),
        (b"", []),
    ],
)
def test_mailboxes_of_an_address_field(
    value: bytes, found: list[tuple[str, str]]
) -> None:
    assert fields.mailboxes(value) == found


def test_an_encoded_word_never_becomes_part_of_an_address() -> None:
    """CPython issue 152519: the standard parser decodes it into another domain."""
    [(_, address)] = fields.mailboxes(b"<=?utf-8?q?victim=40x.com?=@evil.com>")
    assert address == "=?utf-8?q?victim=40x.com?=@evil.com"


@pytest.mark.parametrize(
    "value",
    [b'"' * 50_000, b"(" * 50_000, b"<" * 50_000, b"a@b," * 20_000, b"=?" * 30_000],
)
def test_hostile_values_cost_little(value: bytes) -> None:
    start = time.process_time()
    fields.mailboxes(value)
    fields.text(value)
    assert time.process_time() - start < 2


def test_built_fields_are_encoded_and_folded() -> None:
    assert fields.build("Subject", "hello") == b"Subject: hello\r\n"
    built = fields.build("Subject", "é" * 100)
    assert all(len(line) <= 78 for line in built.split(b"\r\n"))
    assert all(len(word) <= 75 for word in built.split())
    assert fields.text(fields.split(built + b"\r\n")[0][0].value) == "é" * 100


@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\0b", "a\x85b"])
def test_a_line_break_in_a_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control"):
        fields.build("Subject", value)


@pytest.mark.parametrize(
    "word", [b"=?utf-7?q?a+2AA-b?=", b"=?unicode_escape?q?a=5Cud800b?="]
)
def test_half_a_character_is_left_out(word: bytes) -> None:
    assert fields.text(word) == "a b"


@given(st.binary(max_size=400))
def test_nothing_from_outside_raises(value: bytes) -> None:
    fields.text(value)
    fields.mailboxes(value)
    _, body_at = fields.split(value.replace(b"\n", b"\r\n"))
    assert body_at <= len(value) * 2
