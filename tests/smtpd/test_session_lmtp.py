"""LMTP (RFC 2033), and a client that is refused, without a network."""

from __future__ import annotations

from smtpd import replies
from smtpd.listener.requests import Kind
from tests.smtpd.staging import Stage, codes

OPEN = b"LHLO front.test\r\nMAIL FROM:<sam@c.test>\r\n"


def test_it_greets_as_lmtp_and_knows_no_other_hello() -> None:
    stage = Stage(kind=Kind.LMTP)
    assert bytes(stage.said) == b"220 mx.test LMTP\r\n"
    assert codes(stage.say(b"EHLO c\r\nHELO c\r\nLHLO c\r\n")) == [
        "500 5.5.1",
        "500 5.5.1",
        "250 LIMITS",
    ]
    assert codes(Stage().say(b"LHLO c\r\n")) == ["500 5.5.1"]


def test_each_recipient_has_its_reply_in_order() -> None:
    stage = Stage(kind=Kind.LMTP)
    stage.answers = [replies.QUEUED.fill(key="k"), replies.MEMBERS_ONLY.fill(help="")]
    # A refused one has no reply, one named twice has two (RFC 2033 4.2).
    stage.say(
        OPEN + b"RCPT TO:<a@l.test>\r\nRCPT TO:<b@l.test>\r\nRCPT TO:<c@x.test>\r\n"
        b"RCPT TO:<a@l.test>\r\nDATA\r\n"
    )
    assert codes(stage.say(b".\r\n")) == ["250 2.0.0", "550 5.7.1", "250 2.0.0"]
    ((transaction, _),) = stage.stored
    assert transaction.protocol == "LMTP"
    assert [str(r.path) for r in transaction.recipients] == ["a@l.test", "b@l.test"]
    # The session goes on.
    assert codes(stage.say(b"MAIL FROM:<>\r\n")) == ["250 2.1.0"]


def test_what_is_wrong_with_the_message_is_said_for_each() -> None:
    stage = Stage(kind=Kind.LMTP)
    stage.say(OPEN + b"RCPT TO:<a@l.test>\r\nRCPT TO:<b@l.test>\r\nDATA\r\n")
    assert codes(stage.say(b"a\nb\r\n.\r\n")) == ["550 5.5.2"] * 2
    assert stage.stored == []


def test_data_without_recipients_is_503() -> None:
    stage = Stage(kind=Kind.LMTP)
    said = stage.say(OPEN + b"RCPT TO:<c@x.test>\r\nDATA\r\n")
    assert codes(said)[2:] == ["550 5.7.1", "503 5.5.1"]


def test_a_refused_client_can_only_quit() -> None:
    """RFC 5321 3.1."""
    stage = Stage(refusal=replies.NOT_WELCOME.fill(why="Listed."))
    assert bytes(stage.said).startswith(b"554 5.7.1 ")
    assert codes(stage.say(b"EHLO c\r\nMAIL FROM:<>\r\nQUIT\r\n")) == [
        "503 5.5.1",
        "503 5.5.1",
        "221 2.0.0",
    ]
    assert stage.is_closed
