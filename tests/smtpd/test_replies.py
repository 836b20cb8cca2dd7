"""What goes over the wire as a reply."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from smtpd import replies
from smtpd.replies import Reply

CONSTANTS = {
    name: value for name, value in vars(replies).items() if isinstance(value, Reply)
}
# RFC 2034 3: the greeting, HELO and EHLO, and what is no final reply.
WITHOUT_ENHANCED = {
    "GREETING",
    "LMTP_GREETING",
    "HELLO",
    "GO_AHEAD",
    "AUTH_GO_ON",
    "AUTH_NAME",
    "AUTH_PASSWORD",
}


def test_a_reply_is_one_line() -> None:
    assert bytes(replies.OK) == b"250 2.0.0 OK\r\n"


def test_each_line_of_text_is_a_line_of_the_reply() -> None:
    reply = Reply(550, "5.7.1", "No\nreally")
    assert bytes(reply) == b"550-5.7.1 No\r\n550 5.7.1 really\r\n"


def test_all_others_have_an_enhanced_code_of_their_class() -> None:
    for name, reply in CONSTANTS.items():
        if name in WITHOUT_ENHANCED:
            assert reply.enhanced == ""
        else:
            assert re.fullmatch(r"[245]\.\d\.\d{1,2}", reply.enhanced), name
            assert reply.enhanced[0] == str(reply.code)[0], name


def test_filled_in_words_keep_the_codes() -> None:
    reply = replies.QUEUED.fill(key="abc")
    assert (reply.code, reply.enhanced, reply.text) == (
        250,
        "2.0.0",
        "OK queued as abc",
    )
    assert reply.is_positive
    assert not replies.TEMP_TROUBLE.is_positive


@given(st.text(max_size=2000))
def test_no_text_breaks_the_line_format(text: str) -> None:
    wire = bytes(Reply(550, "5.7.1", text))
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    assert all(re.fullmatch(rb"550[- ]5\.7\.1 [ -~]*", line) for line in lines)
    assert all(len(line) <= 510 for line in lines)
    assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
