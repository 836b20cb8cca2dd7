"""What was written on a page, as mail: fields, encodings, line lengths, threads."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd import draft, fields, paths
from smtpd.draft import Draft

AT = datetime(2026, 6, 1, 10, 0, tzinfo=UTC)


def make(**changes: Any) -> Draft:
    usual: dict[str, Any] = {
        "author": paths.mailbox("sam@people.test"),
        "to": paths.mailbox("talk@lists.test"),
        "subject": "Beans",
        "text": "Good morning.",
        "msg_id": "<1@lists.test>",
    }
    return Draft(**(usual | changes))


def read_text(raw: bytes) -> str:
    return str(parsed(raw).get_content()).replace("\r\n", "\n")


def parsed(raw: bytes) -> EmailMessage:
    """As Python's modern parser reads it: not ours, and a strict one."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert not [field.defects for field in message.values() if field.defects]
    return message


def shown(text: str) -> str:
    """The text as a reader of flowed text puts it together (RFC 3676 4)."""
    whole = ""
    for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        bare = line.removeprefix(" ")
        goes_on = line.endswith(" ") and line != "-- " and not line.startswith(">")
        whole += bare if goes_on else f"{bare}\n"
    return whole


def test_it_is_a_whole_message() -> None:
    raw = make(author_name="Sam Green").compose(AT)
    assert raw == (
        b"From: Sam Green <sam@people.test>\r\n"
        b"To: talk@lists.test\r\n"
        b"Subject: Beans\r\n"
        b"Date: Mon, 01 Jun 2026 10:00:00 +0000\r\n"
        b"Message-ID: <1@lists.test>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Good morning.\r\n"
    )
    assert not parsed(raw).defects


@pytest.mark.parametrize("name", ["Søren", "Green, Sam", 'Sam "the" G.', "ü" * 90])
def test_a_name_is_quoted_or_encoded_and_comes_back(name: str) -> None:
    raw = make(author_name=name).compose(AT)
    assert raw.isascii()
    [author] = [f for f in fields.split(raw)[0] if f.name == "from"]
    assert fields.mailboxes(author.value) == [(name, "sam@people.test")]
    assert [a.addr_spec for a in parsed(raw)["From"].addresses] == ["sam@people.test"]
    words = [word for word in raw.split() if word.startswith(b"=?")]
    assert all(len(word) <= 75 for word in words)


@pytest.mark.parametrize(
    "subject", ["Grüße aus Köln", "=?utf-8?q?x=0D=0ABcc:_a@b?=", "ü" * 150, "a" * 200]
)
def test_a_subject_comes_back_as_it_was_written(subject: str) -> None:
    raw = make(subject=subject).compose(AT)
    head = raw.partition(b"\r\n\r\n")[0]
    assert raw.isascii()
    assert b"\nBcc" not in head
    assert parsed(raw)["Subject"].strip() == subject


@pytest.mark.parametrize(
    "bad", ["\r\nBcc: x@y", "\n", "\r", "\0", "\x7f", "\x85", "\x1b"]
)
@pytest.mark.parametrize("where", ["subject", "author_name", "msg_id"])
def test_a_control_character_in_a_field_is_an_error(bad: str, where: str) -> None:
    with pytest.raises(ValueError, match="control"):
        make(**{where: f"a{bad}b"}).compose(AT)


@pytest.mark.parametrize("bad", ["\0", "\x07", "\x7f", "\x85", "\x9b", "\ud800"])
def test_a_control_character_in_the_text_is_an_error(bad: str) -> None:
    assert draft.control_in(f"a{bad}b") == bad
    with pytest.raises(ValueError, match="control"):
        make(text=f"a{bad}b").compose(AT)


def test_every_kind_of_line_end_is_one() -> None:
    raw = make(text="a\nb\rc\r\nd\te\n\n").compose(AT)
    assert raw.endswith(b"\r\n\r\na\r\nb\r\nc\r\nd\te\r\n")


def test_text_that_is_not_ascii_is_quoted_printable() -> None:
    raw = make(text="Grüße \n.\nFrom here").compose(AT)
    assert raw.isascii()
    message = parsed(raw)
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert read_text(raw) == "Grüße\n.\n From here\n"


@pytest.mark.parametrize("word", ["x", "ü", "漢", "🙂"])
def test_no_line_is_too_long_whatever_is_written(word: str) -> None:
    raw = make(text=word * 5000).compose(AT)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert read_text(raw) == word * 5000 + "\n"


def test_a_paragraph_is_wrapped_and_flows_together_again() -> None:
    text = "one two three " * 40 + "end"
    body = read_text(make(text=text).compose(AT))
    assert max(map(len, body.split("\n"))) <= draft.WIDTH
    assert shown(body) == f"{text}\n"


def test_quotation_stuffing_and_signature() -> None:
    text = "> old \n>> older\n indented\nFrom the start\n-- \nSam"
    body = read_text(make(text=text).compose(AT))
    assert body == "> old\n>> older\n  indented\n From the start\n-- \nSam\n"


def test_a_word_that_moves_to_a_line_start_is_no_quotation() -> None:
    text = "x" * 70 + " > than that, and so on and on"
    body = read_text(make(text=text).compose(AT))
    assert "\n > than" in body
    assert shown(body) == f"{text}\n"


@given(st.text(max_size=400))
def test_whatever_is_written_is_mail_or_an_error(text: str) -> None:
    try:
        raw = make(text=text, subject="s").compose(AT)
    except ValueError:
        assert draft.control_in(text)
        return
    assert raw.isascii()
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    parsed(raw)


def test_an_answer_names_its_thread() -> None:
    refs = draft.thread(b"<a@x.test>\r\n <b@x.test>", "<c@x.test>")
    message = parsed(make(references=refs).compose(AT))
    assert message["In-Reply-To"] == "<c@x.test>"
    assert message["References"] == "<a@x.test> <b@x.test> <c@x.test>"


@pytest.mark.parametrize(
    "parent",
    ["", "no brackets@x", "<a b@x>", "<a@x>\r\nBcc: y", "<=?utf-8?q?a?=@x>", "<ü@x>"],
)
def test_what_is_no_identifier_is_not_taken_over(parent: str) -> None:
    assert draft.thread(b"<a@x.test>", parent) == ()


def test_foreign_references_are_bounded_and_clean() -> None:
    many = b" ".join(b"<%d@x.test>" % n for n in range(500))
    refs = draft.thread(many + b" <x\x00@y> <a@b\r\n>", "<c@x.test>")
    assert refs[0] == "<0@x.test>"
    assert refs[-2:] == ("<499@x.test>", "<c@x.test>")
    assert len(refs) == draft.MAX_REFERENCES
    raw = make(references=refs).compose(AT)
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_quotation_is_wrapped_and_cut() -> None:
    assert draft.quote("Hello\n\n> before\n", limit=100) == "> Hello\n>\n>> before"
    quoted = draft.quote("word " * 100, limit=200)
    assert len(quoted) < 230
    assert all(line.startswith("> ") for line in quoted.split("\n"))
    assert max(map(len, quoted.split("\n"))) <= 78


def test_an_address_with_utf8_stands_as_it_is() -> None:
    raw = make(author=paths.mailbox("søren@people.test")).compose(AT)
    assert raw.startswith("From: søren@people.test\r\n".encode())


def test_a_name_that_looks_encoded_stays_what_it_looks_like() -> None:
    raw = make(author_name="=?utf-8?q?a=0ABcc:_x?=").compose(AT)
    assert b"\nBcc" not in raw
    [author] = parsed(raw)["From"].addresses
    assert author.display_name == "=?utf-8?q?a=0ABcc:_x?="
