"""AUTH, and what it opens: RFC 4954 and RFC 6409 without a network."""

from __future__ import annotations

import base64

import pytest

from smtpd.listener.requests import Kind
from tests.smtpd.staging import Stage, codes

EHLO = b"EHLO c.test\r\n"


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


RIGHT = b"AUTH PLAIN " + b64("\0sam\0right") + b"\r\n"
WRONG = b"AUTH PLAIN " + b64("\0sam\0wrong") + b"\r\n"


def office(*, is_secure: bool = True) -> Stage:
    return Stage(kind=Kind.SUBMISSION, is_secure=is_secure, has_certificate=True)


def test_auth_is_announced_on_a_secure_submission_port_only() -> None:
    assert b"AUTH PLAIN LOGIN\r\n" in office().say(EHLO)
    assert b"AUTH" not in office(is_secure=False).say(EHLO)
    assert b"AUTH" not in Stage(is_secure=True, has_certificate=True).say(EHLO)


DIALOGUES = [
    # PLAIN with and without its initial response, LOGIN in both forms.
    ([RIGHT], ["235 2.7.0"]),
    ([b"AUTH PLAIN\r\n", b64("\0sam\0right") + b"\r\n"], ["334", "235 2.7.0"]),
    ([b"auth plain " + b64("sam\0sam\0right") + b"\r\n"], ["235 2.7.0"]),
    (
        [b"AUTH LOGIN\r\n", b64("sam") + b"\r\n", b64("right") + b"\r\n"],
        ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0"],
    ),
    (
        [b"AUTH LOGIN " + b64("sam") + b"\r\n", b64("right") + b"\r\n"],
        ["334 UGFzc3dvcmQ6", "235 2.7.0"],
    ),
    # What is wrong with it.
    ([WRONG], ["535 5.7.8"]),
    ([b"AUTH PLAIN " + b64("olga\0sam\0right") + b"\r\n"], ["535 5.7.8"]),
    ([b"AUTH PLAIN =\r\n"], ["501 5.5.2"]),
    ([b"AUTH PLAIN %%%%\r\n"], ["501 5.5.2"]),
    ([b"AUTH PLAIN " + b64("\0sam") + b"\r\n"], ["501 5.5.2"]),
    ([b"AUTH LOGIN\r\n", b"*\r\n"], ["334 VXNlcm5hbWU6", "501 5.7.0"]),
    ([b"AUTH\r\n"], ["501 5.5.4"]),
    ([b"AUTH CRAM-MD5\r\n"], ["504 5.5.4"]),
    ([RIGHT, RIGHT], ["235 2.7.0", "503 5.5.1"]),
    (
        [RIGHT, b"MAIL FROM:<a@c.test>\r\n", RIGHT],
        ["235 2.7.0", "250 2.1.0", "503 5.5.1"],
    ),
]


@pytest.mark.parametrize(("lines", "expected"), DIALOGUES)
def test_the_exchange_goes_by_the_book(lines: list[bytes], expected: list[str]) -> None:
    stage = office()
    stage.say(EHLO)
    assert codes(stage.say(*lines)) == expected


def test_nobody_sends_without_logging_in() -> None:
    stage = office()
    assert codes(stage.say(EHLO, b"MAIL FROM:<a@c.test>\r\n"))[1:] == ["530 5.7.0"]


def test_no_password_is_taken_in_the_clear() -> None:
    stage = office(is_secure=False)
    assert codes(stage.say(EHLO + RIGHT))[1:] == ["538 5.7.11"]


def test_auth_needs_ehlo() -> None:
    assert codes(office().say(RIGHT)) == ["503 5.5.1"]


def test_a_port_for_servers_knows_no_auth() -> None:
    stage = Stage(is_secure=True)
    assert codes(stage.say(EHLO + RIGHT))[1:] == ["502 5.5.1"]


def test_the_third_wrong_password_ends_it_and_each_takes_longer() -> None:
    stage = office()
    said = stage.say(EHLO, WRONG, WRONG, WRONG)
    assert codes(said)[1:] == ["535 5.7.8"] * 3 + ["421 4.7.0"]
    assert stage.is_closed
    assert stage.pauses == [2, 4]


def test_a_long_response_is_no_long_line() -> None:
    stage = office()
    long = b64("\0sam\0" + "x" * 8000)
    assert codes(stage.say(EHLO, b"AUTH PLAIN\r\n", long + b"\r\n"))[1:] == [
        "334",
        "535 5.7.8",
    ]
    # Nothing else may be that long.
    assert codes(stage.say(b"NOOP " + b"x" * 8000 + b"\r\n")) == ["500 5.5.2"]


def test_the_sender_is_checked_and_the_protocol_says_who_it_was() -> None:
    stage = office()
    stage.say(EHLO, RIGHT)
    assert codes(stage.say(b"MAIL FROM:<a@other.test>\r\n")) == ["553 5.1.7"]
    said = stage.say(b"MAIL FROM:<a@c.test>\r\nRCPT TO:<b@l.test>\r\nDATA\r\n.\r\n")
    assert codes(said)[-1] == "250 2.0.0"
    ((transaction, _),) = stage.stored
    assert transaction.protocol == "ESMTPSA"
    assert transaction.client.account is not None
    assert transaction.client.account.name == "sam"


def test_starttls_forgets_who_it_was() -> None:
    stage = office(is_secure=False)
    stage.say(EHLO, b"STARTTLS\r\n")
    assert codes(stage.say(RIGHT)) == ["503 5.5.1"]
    assert codes(stage.say(EHLO, RIGHT))[1:] == ["235 2.7.0"]


def test_vrfy_and_expn_are_for_those_who_logged_in() -> None:
    stage = office()
    stage.say(EHLO)
    assert codes(stage.say(b"VRFY sam\r\n", b"EXPN talk\r\n")) == [
        "252 2.0.0",
        "502 5.5.1",
    ]
    owner = b"AUTH PLAIN " + b64("\0owner\0right") + b"\r\n"
    stage.say(owner)
    assert b"EXPN\r\n" in stage.say(EHLO)
    assert stage.say(b"VRFY sam\r\n") == b"250 2.0.0 verified sam\r\n"
    assert stage.say(b"EXPN talk\r\n") == b"250 2.0.0 expanded talk\r\n"
    assert stage.say("VRFY zoë SMTPUTF8\r\n".encode()).startswith(b"250 ")
    assert codes(stage.say("VRFY zoë\r\n".encode())) == ["501 5.5.4"]


def test_help_names_what_works_now() -> None:
    stage = office()
    assert b"AUTH" in stage.say(b"HELP\r\n")
    assert b"EXPN" not in stage.say(b"HELP\r\n")
    assert b"STARTTLS" not in stage.say(b"HELP\r\n")
    assert b"AUTH" not in Stage().say(b"HELP\r\n")
