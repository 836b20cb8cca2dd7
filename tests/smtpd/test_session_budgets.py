"""What a session may cost us before it brings a message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smtpd.listener.requests import Kind
from tests.smtpd.staging import OPEN, SMALL, Stage, codes

LIMITS = replace(SMALL, free_refusals=3, refusals=6, idle_commands=10, recipients=100)
HELLO = b"EHLO c\r\nMAIL FROM:<a@c.test>\r\n"


def stage(kind: Kind = Kind.SMTP) -> Stage:
    return Stage(limits=LIMITS, kind=kind)


def unknown(count: int) -> bytes:
    return b"".join(b"RCPT TO:<u%d@x.test>\r\n" % n for n in range(count))


def known(count: int) -> bytes:
    return b"".join(b"RCPT TO:<k%d@l.test>\r\n" % n for n in range(count))


@pytest.mark.parametrize(
    "command", [b"NOOP", b"RSET", b"VRFY sam", b"HELP", b"EHLO c", b"HELO c"]
)
def test_a_client_that_never_sends_is_told_to_leave(command: bytes) -> None:
    on = stage()
    said = codes(on.say((command + b"\r\n") * 50))
    assert said[-1] == "421 4.7.0"
    assert len(said) == LIMITS.idle_commands + 2
    assert on.is_closed


def test_mail_without_a_message_counts_too() -> None:
    on = stage()
    said = codes(on.say(b"EHLO c\r\n" + b"MAIL FROM:<>\r\nRSET\r\n" * 20))
    assert said[-1] == "421 4.7.0"


def test_a_message_starts_the_count_again() -> None:
    on = stage()
    for _ in range(10):
        said = codes(on.say(b"NOOP\r\n" * 5 + OPEN + b"DATA\r\na\r\n.\r\n"))
        assert said[-1] == "250 2.0.0"
    assert len(on.stored) == 10


def test_refused_recipients_are_made_slow_and_then_end_the_session() -> None:
    on = stage()
    said = codes(on.say(HELLO + unknown(20)))
    assert said[2:] == ["550 5.7.1"] * LIMITS.refusals + ["421 4.7.0"]
    assert on.pauses == [LIMITS.error_pause] * (LIMITS.refusals - LIMITS.free_refusals)
    assert on.is_closed


def test_those_that_were_found_still_get_their_message() -> None:
    on = stage()
    said = codes(on.say(HELLO + known(2) + unknown(9) + known(3)))
    # k0 and k1 are known already; k2 is not looked up any more.
    assert said[4:] == ["550 5.7.1"] * 6 + ["452 4.5.3"] * 3 + [
        "250 2.1.5",
        "250 2.1.5",
        "452 4.5.3",
    ]
    assert codes(on.say(b"DATA\r\na\r\n.\r\n"))[-1] == "250 2.0.0"
    assert [len(transaction.recipients) for transaction, _ in on.stored] == [2]
    assert codes(on.say(HELLO + known(1)))[-1] == "421 4.7.0"
    assert on.is_closed


def test_a_hundred_recipients_with_a_few_bad_ones_get_through() -> None:
    on = stage()
    mixed = known(50) + unknown(3) + known(100)
    said = codes(on.say(HELLO + mixed + b"DATA\r\na\r\n.\r\n"))
    assert said.count("250 2.1.5") == 150
    assert on.pauses == []
    assert [len(transaction.recipients) for transaction, _ in on.stored] == [100]


def test_trouble_of_ours_is_nobodys_search() -> None:
    on = Stage(limits=LIMITS, unanswered=("x.test",))
    said = codes(on.say(HELLO + unknown(20)))
    assert said[2:] == ["451 4.3.0"] * 20
    assert on.pauses == []


def test_a_server_of_our_own_may_ask_for_everybody() -> None:
    on = stage(Kind.LMTP)
    said = codes(on.say(b"LHLO c\r\n" + b"NOOP\r\n" * 50 + HELLO[8:] + unknown(50)))
    assert said[-1] == "550 5.7.1"
    assert on.pauses == []


@pytest.mark.parametrize("size", [b"", b" SIZE=10"])
def test_no_mail_is_begun_without_room(size: bytes) -> None:
    on = stage()
    on.say(b"EHLO c\r\n")
    on.session.state.room = 5
    expected = "452 4.3.1" if size else "250 2.1.0"
    assert codes(on.say(b"MAIL FROM:<>" + size + b"\r\n")) == [expected]


def test_no_content_is_begun_when_the_disk_is_full() -> None:
    on = stage()
    on.say(OPEN)
    on.session.state.is_full = True
    assert codes(on.say(b"DATA\r\n")) == ["452 4.3.1"]
    assert codes(on.say(b"BDAT 3 LAST\r\nNOO", b"NOOP\r\n")) == [
        "452 4.3.1",
        "250 2.0.0",
    ]
    on.session.state.is_full = False
    assert codes(on.say(b"DATA\r\na\r\n.\r\n"))[-1] == "250 2.0.0"
