"""BDAT (RFC 3030) without a network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd.listener.requests import Kind
from tests.smtpd.staging import OPEN, Stage, codes


def opened() -> Stage:
    stage = Stage()
    stage.say(OPEN)
    return stage


def kept(stage: Stage) -> bytes:
    ((_, content),) = stage.stored
    return content


def test_chunks_make_one_message() -> None:
    stage = opened()
    said = stage.say(b"BDAT 6\r\na: b\r\n", b"BDAT 2\r\n\r\n", b"BDAT 4 LAST\r\n.c\r\n")
    assert codes(said) == ["250 2.0.0"] * 3
    assert kept(stage) == b"a: b\r\n\r\n.c\r\n"
    assert codes(stage.say(b"MAIL FROM:<>\r\n")) == ["250 2.1.0"]


@given(cut=st.lists(st.integers(1, 40), max_size=8))
def test_however_it_is_cut_it_is_the_same(cut: list[int]) -> None:
    wire = b"BDAT 6\r\na: b\r\nBDAT 9 last\r\n\r\n\r\n.\r\n\r\nNOOP\r\n"
    stage, at, said = opened(), 0, b""
    for length in [*cut, len(wire)]:
        said += stage.say(wire[at : at + length])
        at += length
    assert codes(said) == ["250 2.0.0"] * 3
    assert kept(stage) == b"a: b\r\n\r\n\r\n.\r\n\r\n"


def test_the_last_line_gets_its_end() -> None:
    stage = opened()
    assert codes(stage.say(b"BDAT 3\r\nabc", b"BDAT 0 LAST\r\n")) == ["250 2.0.0"] * 2
    assert kept(stage) == b"abc\r\n"


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r"])
def test_a_bare_line_end_is_refused_as_behind_data(content: bytes) -> None:
    stage = opened()
    said = stage.say(b"BDAT %d LAST\r\n" % len(content) + content)
    assert codes(said) == ["550 5.5.2"]
    assert stage.stored == []
    assert stage.content == b""


def test_a_line_end_may_be_cut_in_two() -> None:
    stage = opened()
    assert codes(stage.say(b"BDAT 2\r\na\r", b"BDAT 1 LAST\r\n\n")) == ["250 2.0.0"] * 2
    assert kept(stage) == b"a\r\n"


REFUSED = [
    (b"BDAT 4 LAST\r\nNOOP", ["503 5.5.1"]),
    (
        b"EHLO c\r\nMAIL FROM:<>\r\nBDAT 4 LAST\r\nNOOP",
        ["250 LIMITS", "250 2.1.0", "503 5.5.1"],
    ),
    (
        b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 4\r\nNOOP",
        ["250 LIMITS", "250 2.1.0", "550 5.7.1", "554 5.5.1"],
    ),
]


@pytest.mark.parametrize(("wire", "expected"), REFUSED)
def test_an_unwanted_chunk_is_read_and_is_no_command(
    wire: bytes, expected: list[str]
) -> None:
    stage = Stage()
    assert codes(stage.say(wire)) == expected
    assert stage.stored == []
    assert codes(stage.say(b"NOOP\r\n")) == ["250 2.0.0"]


@pytest.mark.parametrize("argument", [b"", b" x", b" -1", b" 5 FIRST", b" 5 LAST x"])
def test_what_is_no_number_is_501(argument: bytes) -> None:
    assert codes(opened().say(b"BDAT" + argument + b"\r\n")) == ["501 5.5.4"]


def test_between_chunks_only_chunks_and_rset() -> None:
    stage = opened()
    stage.say(b"BDAT 3\r\nabc")
    said = stage.say(b"DATA\r\nRCPT TO:<b@l.test>\r\nMAIL FROM:<>\r\nRSET\r\n")
    assert codes(said) == ["503 5.5.1"] * 3 + ["250 2.0.0"]
    assert stage.content == b""
    assert codes(stage.say(b"BDAT 0 LAST\r\n")) == ["503 5.5.1"]


def test_a_message_over_the_limit_is_refused_at_the_end_of_the_chunk() -> None:
    stage = opened()
    assert codes(stage.say(b"BDAT 5000\r\n" + b"x" * 4998 + b"\r\n")) == ["552 5.3.4"]
    assert stage.content == b""
    assert codes(stage.say(b"BDAT 0 LAST\r\n")) == ["503 5.5.1"]


def test_a_chunk_far_over_the_limit_ends_it_at_once() -> None:
    stage = opened()
    assert codes(stage.say(b"BDAT 999999999\r\n")) == ["421 4.7.0"]
    assert stage.is_closed


def test_lmtp_answers_the_last_chunk_for_each() -> None:
    stage = Stage(kind=Kind.LMTP)
    stage.say(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\nRCPT TO:<b@l.test>\r\n")
    said = stage.say(b"BDAT 3\r\nabc", b"BDAT 2 LAST\r\n\r\n")
    assert codes(said) == ["250 2.0.0"] * 3
