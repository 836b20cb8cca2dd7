from __future__ import annotations

import time

import pytest

from lists.delivery.subject import prefixed
from smtpd import fields
from smtpd.fields import Field


def subject(value: str, prefix: str = "[Z] ") -> str:
    raw = prefixed(prefix, Field("subject", f"Subject: {value}\r\n".encode()))
    assert raw.startswith(b"Subject: ")
    assert raw.endswith(b"\r\n")
    assert raw.isascii()
    found, _ = fields.split(raw + b"\r\n")
    assert len(found) == 1
    return fields.text(found[0].value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("hi", "[Z] hi"),
        ("Re: [Z] hi", "[Z] Re: hi"),
        ("[Z] Re: hi", "[Z] Re: hi"),
        ("Re: Re: hi", "[Z] Re: hi"),
        ("AW: hi", "[Z] Re: hi"),
        ("RE[2]: [z] Sv: hi", "[Z] Re: hi"),
        ("回复\uff1ahi", "[Z] Re: hi"),
        ("[Z]", "[Z]"),
        ("", "[Z]"),
        ("[Z] [Z] dup", "[Z] dup"),
        ("[z] x", "[Z] x"),
        ("Reform: now", "[Z] Reform: now"),
        ("a [Z] b", "[Z] a [Z] b"),
        ("Re: [Z] =?utf-8?q?caf=C3=A9?=", "[Z] Re: café"),
        ("=?utf-8?q?Re=3A_=5BZ=5D_caf=C3=A9?=", "[Z] Re: café"),
        ("café", "[Z] café"),
        ("=?utf-8?q?broken", "[Z] =?utf-8?q?broken"),
    ],
)
def test_the_prefix_stands_once_before_one_re(before: str, after: str) -> None:
    assert subject(before) == after
    assert subject(after) == after


@pytest.mark.parametrize(
    ("prefix", "before", "after"),
    [
        ("news", "newsletter", "news newsletter"),
        ("news", "news: x", "news : x"),
        ("[Ünï]", "Re: [ünï] hi", "[Ünï] Re: hi"),
        ("[a.c]", "[abc] hi", "[a.c] [abc] hi"),
    ],
)
def test_the_prefix_is_taken_by_the_word(prefix: str, before: str, after: str) -> None:
    assert subject(before, prefix) == after


def test_a_missing_subject_becomes_the_prefix() -> None:
    assert prefixed("[Z]", None) == b"Subject: [Z]\r\n"


def test_a_plain_subject_keeps_its_folding() -> None:
    field = Field("subject", b"SUBJECT: Re:  one\r\n\ttwo  three\r\n")
    assert prefixed("[Z]", field) == b"Subject: [Z] Re: one\r\n\ttwo  three\r\n"


def test_an_encoded_line_break_makes_no_field() -> None:
    evil = "=?utf-8?q?hi=0D=0ABcc=3A_nick=40elsewhere.test?="
    assert subject(evil) == "[Z] hi Bcc: nick@elsewhere.test"


@pytest.mark.parametrize("word", ["re ", "Re[", "re: ", "[Z] ", "re(1 ", "=?utf-8?q?"])
def test_a_hostile_subject_takes_no_time(word: str) -> None:
    field = Field("subject", b"Subject: " + word.encode() * 50_000 + b"\r\n")
    padded = Field("subject", b"Subject: re" + b" " * 200_000 + b"x\r\n")
    start = time.perf_counter()
    prefixed("[Z]", field)
    prefixed("[Z]", padded)
    # Quadratic would be minutes.
    assert time.perf_counter() - start < 3
