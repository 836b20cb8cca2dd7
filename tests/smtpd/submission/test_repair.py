"""What a mail program left out is put in, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd import fields, replies
from smtpd.submission import addresses
from smtpd.submission.addresses import Unclear
from smtpd.submission.repair import Supplies, Unrepairable, repair

SUPPLIES = Supplies(
    domain="lists.test",
    sender="sam@lists.test",
    msg_id="<new@lists.test>",
    date="Mon, 01 Jun 2026 10:00:00 +0000",
)
WHOLE = (
    b"from:  Sam   Reed <sam@lists.test>\r\nTO: nick@far.test,\r\n\tkim@far.test\r\n"
    b"Date: yesterday\r\nMessage-Id: <1@x>\r\nSubject: =?utf-8?q?t=C3=A9a?=\r\n"
)
BODY = b"\r\nBcc: not a field\r\n.\r\nlast"


def head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


def test_a_whole_message_is_left_alone() -> None:
    assert repair(WHOLE + BODY, SUPPLIES) == WHOLE + BODY


def test_date_and_message_id_are_added() -> None:
    bare = head(b"From: sam@lists.test", b"Subject: tea", b"Date:")
    assert repair(bare + BODY, SUPPLIES) == (
        bare
        + head(
            b"Date: Mon, 01 Jun 2026 10:00:00 +0000", b"Message-ID: <new@lists.test>"
        )
        + BODY
    )


def test_a_message_without_a_body_gets_the_empty_line() -> None:
    assert repair(WHOLE, SUPPLIES) == WHOLE + b"\r\n"


def test_hidden_recipients_and_the_return_path_go() -> None:
    hidden = head(
        b"Bcc: olga@far.test,",
        b" mori@far.test",
        b"Return-Path: <x@y>",
        b"RESENT-BCC: a@b",
    )
    assert repair(hidden + WHOLE + BODY, SUPPLIES) == WHOLE + BODY


def test_several_authors_get_a_sender() -> None:
    several = b"From: Sam <sam@lists.test>, olga@lists.test\r\n"
    rest = head(b"Date: d", b"Message-ID: <m>")
    sender = b"Sender: sam@lists.test\r\n"
    assert repair(several + rest + BODY, SUPPLIES) == several + rest + sender + BODY
    assert repair(several + sender + rest + BODY, SUPPLIES) == (
        several + sender + rest + BODY
    )


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"Subject: tea"], replies.NO_AUTHOR),
        ([b"From:"], replies.NO_AUTHOR),
        ([b"From: sam@a", b"From: olga@a"], replies.REPEATED_FIELD),
        ([b"From: sam@a", b"Sender: s@a", b"sender: t@a"], replies.REPEATED_FIELD),
        ([b"From: sam@a", b"no field"], replies.BAD_FIELD),
        ([b" Folded: first", b"From: sam@a"], replies.BAD_FIELD),
        ([b"From: sam@a", b"Subject: a\x08b"], replies.CONTROL_IN_FIELD),
        ([b"From: sam@a", b"Subject: a\x7fb"], replies.CONTROL_IN_FIELD),
        ([b"From: a@b <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: <a@b> <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: <sam@a> a@b"], replies.UNCLEAR_AUTHOR),
        ([b'From: "a@b <sam@a>'], replies.UNCLEAR_AUTHOR),
        ([b"From: <sam@a"], replies.UNCLEAR_AUTHOR),
        ([b"From: <sam@a>: a@b"], replies.UNCLEAR_AUTHOR),
        ([b"From: <a@b>: sam@a"], replies.UNCLEAR_AUTHOR),
        ([b"From: ((\\)) a@b <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: (<(>) a@b) <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: (a@b <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: Sam Reed"], replies.UNCLEAR_AUTHOR),
        ([b"From: sam@a)"], replies.UNCLEAR_AUTHOR),
        ([b'From: (" ) a@b (") <sam@a>'], replies.UNCLEAR_AUTHOR),
        ([b"From: sam@a", b"Sender: a@b <sam@a>"], replies.UNCLEAR_AUTHOR),
        ([b"From: sam@a," + b" " * 20_000 + b"a@b"], replies.UNCLEAR_AUTHOR),
    ],
)
def test_what_two_programs_could_read_differently_is_refused(
    lines: list[bytes], reply: replies.Reply
) -> None:
    with pytest.raises(Unrepairable) as caught:
        repair(head(*lines) + BODY, SUPPLIES)
    assert caught.value.reply == reply


@pytest.mark.parametrize(
    ("value", "after"),
    [
        (b" sam", b" sam@lists.test"),
        (b" sam (at home)", b" sam@lists.test (at home)"),
        (b" Sam Reed <sam>, olga", b" Sam Reed <sam@lists.test>, olga@lists.test"),
        (b' "Reed, Sam" <\r\n sam >', b' "Reed, Sam" <\r\n sam@lists.test >'),
        (b" friends: sam, a@b;", b" friends: sam@lists.test, a@b;"),
        (b" undisclosed-recipients:;", None),
        (b" Sam Reed", None),
        (b' "sam"', None),
        (b" sam@far.test, <olga@far.test>", None),
        (b" <sam", None),
        (b" (sam", None),
        (b" <>", None),
        (b" ,,", None),
    ],
)
def test_a_bare_local_part_gets_our_domain(value: bytes, after: bytes | None) -> None:
    raw = b"To:" + value + b"\r\n"
    wanted = raw if after is None else b"To:" + after + b"\r\n"
    assert addresses.qualify(raw, b"lists.test") == wanted


@given(st.binary(max_size=200))
def test_no_octets_trip_it_and_none_get_lost(value: bytes) -> None:
    raw = b"To:" + value + b"\r\n"
    assert addresses.qualify(raw, b"x.test").replace(b"@x.test", b"") == raw.replace(
        b"@x.test", b""
    )


@given(st.text(alphabet='ab@ <>"(),;:\\.', max_size=40))
def test_who_is_counted_is_who_is_read(value: str) -> None:
    """Our two readers agree on every author that is let through."""
    raw = b"From: " + value.encode() + b"\r\n"
    try:
        count = addresses.count(raw)
    except Unclear:
        return
    read = [address for _, address in fields.mailboxes(raw.partition(b":")[2].strip())]
    assert len(read) <= count
    for address in read:
        assert address in value
