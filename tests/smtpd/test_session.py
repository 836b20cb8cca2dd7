"""The session without a network: octets in, replies and content out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpd import replies
from tests.smtpd.staging import OPEN, SMALL, Stage, codes, send


def test_a_message_is_stored_with_its_envelope() -> None:
    stage, said = send(b"Subject: hi\r\n\r\nhello\r\n.\r\n")
    assert said == b"250 2.0.0 OK queued as k\r\n"
    ((transaction, content),) = stage.stored
    assert content == b"Subject: hi\r\n\r\nhello\r\n"
    assert str(transaction.reverse_path) == "sam@c.test"
    assert [str(r.path) for r in transaction.recipients] == ["talk@l.test"]
    assert (transaction.client.helo, transaction.protocol) == ("c.test", "ESMTP")


def test_the_greeting_comes_first_and_names_us() -> None:
    assert bytes(Stage().said) == b"220 mx.test ESMTP\r\n"


def test_ehlo_announces_what_we_can_and_helo_nothing() -> None:
    said = Stage().say(b"EHLO c\r\n").decode().split("\r\n")
    assert said[0] == "250-mx.test"
    assert {line[4:] for line in said[1:-1]} == {
        "PIPELINING",
        "SIZE 4096",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "SMTPUTF8",
        "CHUNKING",
        "DSN",
        "LIMITS RCPTMAX=3",
    }
    assert Stage().say(b"HELO c\r\n") == b"250 mx.test\r\n"


REPLIES = [
    # One dialogue a row: what is said, and the codes of the answers.
    (b"EHLO\r\n", ["501 5.5.4"]),
    (b"HELO \r\n", ["501 5.5.4"]),
    (b"EHLO under_score\r\n", ["250 LIMITS"]),
    (b"EHLO [IPv6:::1]\r\n", ["250 LIMITS"]),
    (b"MAIL FROM:<a@b.test>\r\n", ["503 5.5.1"]),
    (
        b"NOOP\r\nnoop x\r\nHELP\r\nVRFY sam\r\n",
        ["250 2.0.0"] * 2 + ["214 2.0.0"] + ["252 2.0.0"],
    ),
    (b"VRFY\r\n", ["501 5.5.4"]),
    (b"EXPN l\r\nTURN\r\nETRN x\r\nSEND\r\n", ["502 5.5.1"] * 4),
    (b"AUTH PLAIN x\r\nWHAT\r\n\r\n", ["502 5.5.1", "500 5.5.1", "500 5.5.1"]),
    (b"XCLIENT ADDR=1.2.3.4\r\nPROXY TCP4 1.2.3.4 1 2 3\r\n", ["500 5.5.1"] * 2),
    (b"NOOPE\r\nNOOP\tx\r\nNO\0OP\r\n", ["500 5.5.1"] * 3),
    (b"RCPT TO:<a@l.test>\r\nDATA\r\n", ["503 5.5.1"] * 2),
    (b"QUIT now\r\nRSET now\r\n", ["501 5.5.4"] * 2),
    (b"STARTTLS\r\n", ["502 5.5.1"]),
    (b"QUIT\r\n", ["221 2.0.0"]),
]
MAIL = [
    (b"FROM:<a@b.test>", "250 2.1.0"),
    (b"from: <a@b.test>", "250 2.1.0"),
    (b"FROM:<>", "250 2.1.0"),
    (b"FROM:<> SIZE=100 BODY=8BITMIME", "250 2.1.0"),
    (b"FROM:<> body=7bit  size=0", "250 2.1.0"),
    (b"FROM:<a@b.test> SIZE=4096", "250 2.1.0"),
    (b"FROM:<a@b.test> SIZE=4097", "552 5.3.4"),
    (b"FROM:<a@b.test> SIZE=", "501 5.5.4"),
    (b"FROM:<a@b.test> SIZE=-1", "501 5.5.4"),
    (b"FROM:<a@b.test> SIZE", "501 5.5.4"),
    (b"FROM:<a@b.test> SIZE=1 SIZE=1", "501 5.5.4"),
    (b"FROM:<a@b.test> BODY=BINARYMIME", "501 5.5.4"),
    (b"FROM:<a@b.test> BODY", "501 5.5.4"),
    (b"FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"),
    (b"FROM:<a@b.test>SIZE=1", "501 5.5.4"),
    (b"FROM:<a@b.test> SI>ZE=1", "501 5.5.4"),
    (b"FROM:<a@b.test> RET=HDRS", "250 2.1.0"),
    (b"FROM:<a@b.test> AUTH=<>", "555 5.5.4"),
    (b"FROM:a@b.test", "501 5.1.7"),
    (b"FROM:<a>", "501 5.1.7"),
    (b"TO:<a@b.test>", "501 5.5.4"),
    (b"", "501 5.5.4"),
    ("FROM:<ü@b.test>".encode(), "553 5.6.7"),
    ("FROM:<ü@b.test> SMTPUTF8".encode(), "250 2.1.0"),
    ("FROM:<a@ü.test> SMTPUTF8 SIZE=1".encode(), "250 2.1.0"),
    (b"FROM:<a\0@b.test>", "553 5.1.7"),
]
RCPT = [
    (b"TO:<a@l.test>", "250 2.1.5"),
    (b"TO: <a@l.test>", "250 2.1.5"),
    (b"to:<Postmaster>", "250 2.1.5"),
    (b"TO:<@x.test:a@l.test>", "250 2.1.5"),
    (b"TO:<a@x.test>", "550 5.7.1"),
    (b"TO:<@l.test:a@x.test>", "550 5.7.1"),
    (b"TO:<>", "501 5.1.3"),
    (b"TO:a@l.test", "501 5.1.3"),
    (b"TO:<a@l.test", "501 5.1.3"),
    (b"TO:<a@l.test>, <a@x.test>", "501 5.5.4"),
    (b"TO:<a@l.test> NOTIFY=NEVER", "250 2.1.5"),
    ("TO:<ü@l.test>".encode(), "553 5.6.7"),
    (b"FROM:<a@l.test>", "501 5.5.4"),
]


@pytest.mark.parametrize(("said", "expected"), REPLIES)
def test_each_command_has_its_reply(said: bytes, expected: list[str]) -> None:
    assert codes(Stage().say(said)) == expected


@pytest.mark.parametrize(("argument", "expected"), MAIL)
def test_mail_is_answered_by_its_path_and_parameters(
    argument: bytes, expected: str
) -> None:
    said = Stage().say(b"EHLO c\r\nMAIL " + argument + b"\r\n")
    assert codes(said)[1] == expected


@pytest.mark.parametrize(("argument", "expected"), RCPT)
def test_rcpt_is_answered_by_its_path_and_parameters(
    argument: bytes, expected: str
) -> None:
    said = Stage().say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT " + argument + b"\r\n")
    assert codes(said)[2] == expected


def test_a_second_mail_is_out_of_turn() -> None:
    assert codes(Stage().say(OPEN + b"MAIL FROM:<>\r\n"))[-1] == "503 5.5.1"


@pytest.mark.parametrize("command", [b"RSET", b"EHLO c", b"HELO c"])
def test_what_acts_as_rset_forgets_the_transaction(command: bytes) -> None:
    said = Stage().say(OPEN + command + b"\r\nDATA\r\n")
    assert codes(said)[-1] == "503 5.5.1"


def test_data_when_all_recipients_were_refused_is_554() -> None:
    said = Stage().say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
    assert codes(said)[-1] == "554 5.5.1"


def test_recipients_over_the_limit_wait_and_the_others_stay() -> None:
    stage = Stage()
    names = b"".join(b"RCPT TO:<u%d@l.test>\r\n" % n for n in range(5))
    said = stage.say(b"EHLO c\r\nMAIL FROM:<>\r\n" + names)
    assert codes(said)[2:] == ["250 2.1.5"] * 3 + ["452 4.5.3"] * 2
    stage.say(b"DATA\r\n.\r\n")
    assert len(stage.stored[0][0].recipients) == 3


def test_a_recipient_named_twice_is_taken_once() -> None:
    stage = Stage()
    stage.say(OPEN + b"RCPT TO:<talk@L.test>\r\nDATA\r\n.\r\n")
    assert len(stage.stored[0][0].recipients) == 1


def test_no_room_is_said_at_mail_and_only_for_now() -> None:
    stage = Stage()
    stage.session.state.is_full = True
    said = stage.say(b"EHLO c\r\nMAIL FROM:<>\r\n")
    assert codes(said)[-1] == "452 4.3.1"


def test_pipelined_commands_are_answered_in_order_in_one_write() -> None:
    stage = Stage()
    stage.writes.clear()
    said = stage.say(OPEN + b"RCPT TO:<a@x.test>\r\nDATA\r\n")
    assert codes(said)[1:] == ["250 2.1.0", "250 2.1.5", "550 5.7.1", "354 End"]
    assert len(stage.writes) == 1


def test_smtputf8_is_noted_and_named_in_the_protocol() -> None:
    stage = Stage()
    stage.say(
        "EHLO c\r\nMAIL FROM:<ü@b.test> SMTPUTF8 BODY=8BITMIME\r\n"
        "RCPT TO:<ö@l.test>\r\nDATA\r\n.\r\n".encode()
    )
    transaction = stage.stored[0][0]
    assert transaction.needs_utf8
    assert transaction.needs_8bit
    assert transaction.protocol == "UTF8SMTP"


def test_a_name_that_would_forge_a_received_field_is_defused() -> None:
    stage = Stage()
    stage.say(b"HELO x) by (evil\0\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\n")
    stage.say(b"DATA\r\n.\r\n")
    assert stage.stored[0][0].client.helo == "x??by??evil?"
    assert stage.stored[0][0].protocol == "SMTP"


# --- content ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n..a\r\n.b\r\n.\r\n", b"..\r\n.a\r\nb\r\n"),
        (b"a..b\r\n.\r\n", b"a..b\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"\xff\x80\r\n.\r\n", b"\xff\x80\r\n"),
        (b"x" * 510 + b"\r\n.\r\n", b"x" * 510 + b"\r\n"),
        (b"x" * 512 + b"\r\n.\r\n", b"x" * 512 + b"\r\n"),
    ],
)
def test_stuffed_dots_go_and_all_else_stays(sent: bytes, kept: bytes) -> None:
    stage, said = send(sent)
    assert codes(said) == ["250 2.0.0"]
    assert stage.stored[0][1] == kept


SMUGGLING = [
    b"\n.\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
]
INJECTED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<talk@l.test>\r\nDATA\r\nevil"


@pytest.mark.parametrize("form", SMUGGLING)
def test_no_false_end_smuggles_a_second_message(form: bytes) -> None:
    stage, said = send(b"one\r\ntwo" + form + INJECTED + b"\r\n.\r\n")
    expected = "550 5.6.0" if b"\0" in form else "550 5.5.2"
    assert codes(said) == [expected]
    assert stage.stored == []
    assert not stage.content
    assert codes(stage.say(b"NOOP\r\n")) == ["250 2.0.0"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\0b\r\n", "550 5.6.0"),
        (b"a\nb\r\n", "550 5.5.2"),
        (b"a\rb\r\n", "550 5.5.2"),
        (b"\n", "550 5.5.2"),
        (b"x" * 513 + b"\r\n", "550 5.6.0"),
        (b"ok\r\n" + b"x" * 600 + b"\r\nok\r\n", "550 5.6.0"),
        (b"x" * 70 + b"\r\n" + b"0123456\r\n" * 455, "552 5.3.4"),
    ],
)
def test_unlawful_content_is_refused_at_its_end(content: bytes, expected: str) -> None:
    stage, said = send(content + b"\r\n.\r\n")
    assert codes(said) == [expected]
    assert stage.stored == []
    assert codes(send(b"fine\r\n.\r\n", stage)[1]) == ["250 2.0.0"]


def test_a_message_of_exactly_the_limit_is_taken() -> None:
    content = b"0123456789abcd\r\n" * 256
    stage, said = send(content + b".\r\n")
    assert codes(said) == ["250 2.0.0"]
    assert len(stage.stored[0][1]) == SMALL.message_size


def test_far_over_the_limit_is_cut_off() -> None:
    stage, said = send(b"0123456789abcd\r\n" * 1000)
    assert codes(said) == ["421 4.7.0"]
    assert stage.is_closed
    assert not stage.content


def test_content_that_could_not_be_kept_is_our_trouble() -> None:
    stage = Stage()
    stage.say(OPEN + b"DATA\r\n")
    stage.session.keep_failed(replies.TEMP_TROUBLE.fill(id="1"))
    assert codes(stage.say(b"a\r\n.\r\n")) == ["451 4.3.0"]
    assert stage.stored == []


def test_two_messages_do_not_mix() -> None:
    stage = Stage()
    stage.say(OPEN + b"DATA\r\none\r\n.\r\n" + OPEN + b"DATA\r\ntwo\r\n.\r\n")
    assert [content for _, content in stage.stored] == [b"one\r\n", b"two\r\n"]


# --- lines ----------------------------------------------------------------------


def test_an_overlong_command_is_refused_and_the_next_is_understood() -> None:
    said = Stage().say(b"NOOP " + b"x" * 3000 + b"\r\nNOOP\r\n")
    assert codes(said) == ["500 5.5.2", "250 2.0.0"]


def test_the_longest_command_is_understood() -> None:
    said = Stage().say(b"NOOP " + b"x" * 505 + b"\r\nNOOP " + b"x" * 506 + b"\r\n")
    assert codes(said) == ["250 2.0.0", "500 5.5.2"]


def test_an_endless_command_is_not_kept_and_cut_off() -> None:
    stage = Stage()
    said = stage.say(*[b"x" * 1000] * 200)
    assert codes(said) == ["421 4.7.0"]
    assert stage.is_closed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"NOOP\n", ["500 5.5.2"]),
        (b"NOOP\nMAIL FROM:<>\r\nNOOP\r\n", ["500 5.5.2", "500 5.5.2", "250 2.0.0"]),
        (b"NOOP a\rb\r\nNOOP\r\n", ["500 5.5.2", "250 2.0.0"]),
        (b"NOOP\r\r\nNOOP\r\n", ["500 5.5.2", "250 2.0.0"]),
    ],
)
def test_a_bare_line_end_ends_no_command(said: bytes, expected: list[str]) -> None:
    assert codes(Stage().say(said)) == expected


def test_too_many_errors_end_the_session() -> None:
    stage = Stage()
    said = stage.say(b"WHAT\r\n" * 20)
    assert codes(said) == ["500 5.5.1"] * SMALL.errors + ["421 4.7.0"]
    assert stage.is_closed


def test_refused_recipients_are_no_errors() -> None:
    stage = Stage()
    stage.say(b"EHLO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<a@x.test>\r\n" * 50)
    assert not stage.is_closed


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1", b"POST / HTTP/1.0", b"CONNECT l.test:25", b"Host: l"]
)
def test_another_protocol_is_hung_up_on(line: bytes) -> None:
    stage = Stage()
    assert stage.say(line + b"\r\n" + OPEN) == b""
    assert stage.is_closed


def test_nothing_is_answered_behind_quit() -> None:
    stage = Stage()
    assert codes(stage.say(b"QUIT\r\nNOOP\r\n")) == ["221 2.0.0"]
    assert stage.is_closed


# --- TLS ------------------------------------------------------------------------


def test_starttls_forgets_all_that_was_said_in_the_clear() -> None:
    stage = Stage(has_certificate=True)
    assert b"STARTTLS" in stage.say(b"EHLO c\r\n")
    said = stage.say(b"MAIL FROM:<>\r\nSTARTTLS\r\nRSET\r\nQUIT\r\n")
    assert codes(said) == ["250 2.1.0", "220 2.0.0"]
    assert not stage.is_closed
    assert codes(stage.say(b"MAIL FROM:<>\r\n")) == ["503 5.5.1"]
    assert b"STARTTLS" not in stage.say(b"EHLO c\r\n")
    assert codes(stage.say(b"STARTTLS\r\n")) == ["503 5.5.1"]
    stage.say(OPEN + b"DATA\r\n.\r\n")
    assert stage.stored[0][0].protocol == "ESMTPS"


# --- however it is cut --------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *(b"\r", b"\n", b"\r\n", b".", b"\0", b"a", b"\r\n.\r\n"),
        *(b"x" * 300, b"x" * 600, b"NOOP\r\n", b"DATA\r\n", b"RSET\r\n"),
        *(b"QUIT\r\n", OPEN),
    ]
)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in pairwise(edges)]


@given(st.lists(WORDS, max_size=30), st.lists(st.integers(0, 10_000), max_size=30))
@example([OPEN, b"DATA\r\n", b"a\r\n.\r\n", OPEN], [])
def test_replies_and_content_do_not_depend_on_the_cuts(
    words: list[bytes], places: list[int]
) -> None:
    text = b"".join(words)
    whole, pieces, octets = Stage(), Stage(), Stage()
    whole.say(text)
    pieces.say(*cut(text, places))
    octets.say(*(text[n : n + 1] for n in range(len(text))))
    for other in (pieces, octets):
        assert other.said == whole.said
        assert other.stored == whole.stored
        assert other.is_closed == whole.is_closed


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n"]), max_size=40))
def test_content_without_faults_is_what_was_stuffed(parts: list[bytes]) -> None:
    """Against the plain rule of RFC 5321 4.5.2, line by line."""
    content = b"".join(parts)
    lines = content.split(b"\r\n")
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    is_lawful = not any(b"\r" in line or b"\n" in line for line in lines)
    stage, said = send(b"\r\n".join(stuffed) + b"\r\n.\r\n")
    if is_lawful:
        assert [kept for _, kept in stage.stored] == [content + b"\r\n"]
    else:
        assert codes(said) == ["550 5.5.2"]
        assert stage.stored == []
