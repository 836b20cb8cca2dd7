"""Mail that is made to cost much costs little: each number, by counting.

What is counted is calls, of Python and of C, so that the result is the same on
a slow machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType

import pytest

from smtpd import facts, fields, letter

ENTRY = b"From: Sam <sam@c.test>\r\nSubject: hello\r\n"


def calls(work: Callable[[], object]) -> Counter[str]:
    """How often each module was called, or called something written in C."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call"):
            seen[str(frame.f_globals.get("__name__"))] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return seen


def cost(raw: bytes) -> int:
    """Of what is read while the sender is connected."""

    def work() -> None:
        try:
            facts.read(raw, reverse_path="")
        except fields.TooMany:
            return

    return calls(work).total()


FROM = [
    *(b'"' * 8_000, b'"' * 50_000, b"(" * 2_000, b"(" * 50_000, b"()" * 25_000),
    *(b"<" * 50_000, b"[" * 50_000, b"\\" * 50_000, b'"\\' * 25_000, b":;" * 25_000),
    *(b"=?utf-8?q?a?=" * 4_000, b"=?" * 25_000, b"a@b.test, " * 10_000),
]


@pytest.mark.parametrize("value", FROM, ids=[repr(value[:8]) for value in FROM])
def test_one_field_is_read_up_to_a_length(value: bytes) -> None:
    """Twice as much behind the limit costs nothing more."""
    endless = value * 20
    once = cost(b"From: " + endless[: fields.MAX_VALUE] + b"\r\n\r\n")
    twice = cost(b"From: " + endless[:60_000] + b"\r\n\r\n")
    assert twice <= once * 1.2 + 200
    # A few calls for each octet at the most.
    assert once < 20 * fields.MAX_VALUE


@pytest.mark.parametrize("value", FROM, ids=[repr(value[:8]) for value in FROM])
def test_one_field_costs_as_much_as_it_is_long(value: bytes) -> None:
    half = cost(b"From: " + value[:4_000] + b"\r\n\r\n")
    whole = cost(b"From: " + value[:8_000] + b"\r\n\r\n")
    assert whole <= 2.5 * half + 200


@pytest.mark.parametrize("count", [1_000, 4_000, 10_000])
def test_so_many_addresses_are_examined(count: int) -> None:
    found = fields.mailboxes(b"a@b.cc," * count)
    assert len(found) <= fields.MAX_MAILBOXES
    assert cost(ENTRY + b"To: " + b"a@b.cc," * count + b"\r\n\r\n") < 1_000


def test_continued_parameters_are_not_put_together() -> None:
    """RFC 2231: nobody's business while the sender is connected."""
    parameters = b"".join(b"; name*%d=x" % number for number in range(5_000))
    assert cost(ENTRY + b"Content-Type: a/b" + parameters + b"\r\n\r\n") < 1_000


def test_so_many_fields_are_taken() -> None:
    most = b"X: y\r\n" * fields.MAX_FIELDS
    assert len(fields.split(most + b"\r\n")[0]) == fields.MAX_FIELDS
    for count in (1, 49_000):
        raw = most + b"X: y\r\n" * count + b"\r\n"
        with pytest.raises(fields.TooMany):
            fields.split(raw)
        assert cost(raw) < 100


@pytest.mark.parametrize(
    "start",
    [b"X: ", b"X:\r\n ", b"X: y\r\n", b"", b"X: " + b"y\r\n " * 60_000],
    ids=["endless field", "endless fold", "endless header", "endless line", "folds"],
)
def test_a_header_section_has_a_size(start: bytes) -> None:
    raw = start + b"y" * (fields.MAX_HEADER - len(start) - 4) + b"\r\n\r\n"
    if len(raw) == fields.MAX_HEADER:
        fields.split(raw)
    raw = start + b"y" * 200_000 + b"\r\n\r\n"
    with pytest.raises(fields.TooMany):
        fields.split(raw)
    assert cost(raw) < 100


def nested(depth: int) -> bytes:
    """Each multipart inside the one before."""
    heads = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(depth)
    ]
    return ENTRY + b"".join(heads) + b"\r\nhello\r\n"


def many(count: int) -> bytes:
    head = ENTRY + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"--b\r\n\r\n" * count + b"--b--\r\n"


def inside(depth: int) -> bytes:
    return ENTRY + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"hello\r\n"


BODIES = [
    *(nested(300), nested(1_000), many(1_000), many(100_000)),
    *(inside(300), inside(1_000), ENTRY + b"\r\n" + b"\r\n" * 5_000_000),
]
NAMES = "300 nested,1000 nested,1000 parts,100000 parts,300 in,1000 in,newlines"


@pytest.mark.parametrize("raw", BODIES, ids=NAMES.split(","))
def test_no_body_costs_anything_while_the_sender_waits(raw: bytes) -> None:
    seen = calls(lambda: facts.read(raw, reverse_path=""))
    assert seen.total() < 500
    assert not any(name.startswith("email") for name in seen)


@pytest.mark.parametrize("raw", BODIES, ids=NAMES.split(","))
def test_a_body_is_taken_apart_within_bounds_for_its_page(raw: bytes) -> None:
    found: list[letter.Letter] = []
    seen = calls(lambda: found.append(letter.read(raw)))
    assert ("Subject", "hello") in found[0].headers
    assert len(found[0].attachments) <= letter.MAX_PARTS
    assert seen.total() < 200_000


@pytest.mark.parametrize("raw", [nested(60), inside(60)], ids=["multipart", "rfc822"])
def test_common_nesting_is_read(raw: bytes) -> None:
    assert letter.read(raw).text.strip() == "hello"
