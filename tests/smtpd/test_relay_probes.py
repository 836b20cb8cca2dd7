"""We are no open relay: every known form of asking, from every kind of sender.

l.test is ours with the list talk, and x.test is not. An answer of 250 is right
only where the path names one of our addresses, and then nothing goes to x.test.
"""

from __future__ import annotations

from base64 import b64encode

import pytest

from smtpd.listener.limits import Limits
from smtpd.listener.policies import Site
from smtpd.listener.requests import Kind
from smtpd.models import Delivery, Message
from tests.dialogues.seed import seed
from tests.smtpd.staging import Stage, codes

pytestmark = pytest.mark.django_db

LIMITS = Limits(errors=1000, refusals=1000, idle_commands=1000)
# A token and a signature that nobody gave out.
TOKEN = b"a" * 29

SENDERS = [
    *(b"<a@x.test>", b"<>", b"<a@l.test>", b"<postmaster@l.test>"),
    *(b"<a@[127.0.0.1]>", b"<a@localhost>", b"<talk@l.test>"),
    b"<talk-bounces@l.test>",
]
NO_SENDERS = [b"<a>"]

# By the number of the form.
REFUSED = [
    (1, b"<x@x.test>"),
    (2, b"<x%x.test@l.test>"),
    (2, b"<talk%x.test@l.test>"),
    (3, b"<x%x.test@[127.0.0.1]>"),
    (4, b'<"x@x.test">'),
    (5, b'<"x%x.test">'),
    (6, b"<x@x.test@l.test>"),
    (7, b'<"x@x.test"@l.test>'),
    (8, b"<x@x.test@[127.0.0.1]>"),
    (9, b"<@l.test:x@x.test>"),
    (10, b"<@a.test,@l.test:x@x.test>"),
    (10, b"<@x.test:@l.test:talk@l.test>"),
    (11, b"<x.test!x>"),
    (12, b"<x.test!x@l.test>"),
    (12, b"<x.test!x@[127.0.0.1]>"),
    (13, b"x@x.test"),
    (13, b"talk@l.test"),
    (14, b"<x@x.test.>"),
    (14, b"<talk@l.test.>"),
    (15, b"<talk@l.test"),
    (15, b"<talk @l.test>"),
    (15, b"<talk(c)@l.test>"),
    (16, b"<talk@l.test>, <x@x.test>"),
    (16, b"<talk@l.test>,<x@x.test>"),
    (16, b"<talk@l.test,x@x.test>"),
    (16, b"<talk@l.test> <x@x.test>"),
    (17, b"<>"),
    (18, b"<ta\0lk@l.test>"),
    (18, b"<talk@l.test\0.x.test>"),
    (18, b"<ta\tlk@l.test>"),
    (18, b"<ta\xfflk@l.test>"),
    (18, b'<"ta\tlk"@l.test>'),
    (19, b"<talk-bounces+x=x.test@l.test>"),
    (19, b"<bounces+" + TOKEN + b"@l.test>"),
    (19, b"<leave+" + TOKEN + b"@l.test>"),
    (19, b"<confirm+" + TOKEN + b"@l.test>"),
    (19, b"<SRS0=abcd=aa=x.test=x@l.test>"),
    (19, b"<SRS1=abcd=x.test==aa=x.test=x@l.test>"),
    (20, b"<talk-subscribe-x=x.test@l.test>"),
    # Encoded words are nothing to an envelope.
    (1, b"<=?utf-8?q?x=40x=2Etest?=@l.test>"),
    (1, b"<x@=?utf-8?q?x=2Etest?=>"),
    (1, b"<x@x.test>@l.test"),
    (1, b"x@x.test <talk@l.test>"),
    (1, b'"x@x.test" <talk@l.test>'),
]
# Other spellings of addresses of ours: they lead there and nowhere else.
OURS = [
    (9, b"<@x.test:talk@l.test>"),
    (10, b"<@x.test,@y.test:talk@l.test>"),
    (15, b'<"talk"@l.test>'),
    (15, b'<"\\t\\a\\l\\k"@l.test>'),
    (17, b"<postmaster>"),
    (17, b"<PostMaster@L.test>"),
    (20, b"<talk+x=x.test@l.test>"),
]
ids = [f"{number}-{form!r}" for number, form in REFUSED]


def opened(sender: bytes, kind: Kind = Kind.SMTP) -> Stage:
    stage = Stage(limits=LIMITS, policy=Site(), kind=kind)
    hello = b"LHLO" if kind is Kind.LMTP else b"EHLO"
    said = codes(stage.say(hello + b" x.test\r\nMAIL FROM:" + sender + b"\r\n"))
    assert said[-1] == "250 2.1.0"
    return stage


@pytest.fixture(autouse=True)
def _site() -> None:
    seed()


@pytest.mark.parametrize(("number", "form"), REFUSED, ids=ids)
def test_no_form_makes_a_relay_of_us(number: int, form: bytes) -> None:
    for sender in SENDERS:
        stage = opened(sender)
        (said,) = codes(stage.say(b"RCPT TO:" + form + b"\r\n"))
        assert said[:3] in {"501", "550", "553"}, f"{number} from {sender!r}"
        assert codes(stage.say(b"DATA\r\n")) == ["554 5.5.1"]
    assert not Message.objects.exists()


@pytest.mark.parametrize("sender", [*SENDERS, *NO_SENDERS])
def test_a_line_end_in_a_path_is_no_line_end(sender: bytes) -> None:
    stage = opened(sender) if sender in SENDERS else opened(b"<>")
    said = stage.say(b"RCPT TO:<ta\rlk@l.test>\r\nRCPT TO:<ta\nlk@l.test>\r\n")
    assert {code[:3] for code in codes(said)} == {"500"}


@pytest.mark.parametrize("sender", NO_SENDERS)
def test_a_sender_without_a_domain_is_none(sender: bytes) -> None:
    stage = Stage(limits=LIMITS, policy=Site())
    said = stage.say(
        b"EHLO c\r\nMAIL FROM:" + sender + b"\r\nRCPT TO:<talk@l.test>\r\n"
    )
    assert codes(said)[1:] == ["501 5.1.7", "503 5.5.1"]


@pytest.mark.parametrize(("number", "form"), OURS)
def test_another_spelling_of_ours_leads_to_ours(number: int, form: bytes) -> None:
    for sender in SENDERS:
        stage = opened(sender)
        said = stage.say(b"RCPT TO:" + form + b"\r\nDATA\r\n")
        assert codes(said) == ["250 2.1.5", "354 End"]
        stage.say(b"From: a@x.test\r\nSubject: buy\r\n\r\nhello\r\n.\r\n")
    assert not Delivery.objects.filter(address__contains="x.test").exists()


def test_a_request_address_writes_to_nobody_it_is_told_about() -> None:
    for sender in SENDERS:
        stage = opened(sender)
        stage.say(b"RCPT TO:<talk-request+x=x.test@l.test>\r\nDATA\r\n")
        stage.say(b"Subject: subscribe x@x.test\r\n\r\nsubscribe\r\n.\r\n")
    assert not Delivery.objects.filter(address="x@x.test").exists()


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "line",
    [
        b"XCLIENT ADDR=127.0.0.1 NAME=localhost",
        b"XFORWARD ADDR=127.0.0.1",
        b"PROXY TCP4 127.0.0.1 127.0.0.1 25 25",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\0\x19\0\x19",
    ],
)
def test_nobody_says_who_they_are_instead(kind: Kind, line: bytes) -> None:
    stage = Stage(limits=LIMITS, policy=Site(), kind=kind)
    stage.session.state.client.peer = "192.0.2.9"
    said = stage.say(line + b"\r\n")
    assert {code[:3] for code in codes(said)} == {"500"}
    assert stage.session.state.client.peer == "192.0.2.9"


@pytest.mark.parametrize("words", [b"\0sam\0wrong", b"\0\0", b"", b"\0sam@l.test\0"])
def test_a_failed_login_opens_nothing(words: bytes) -> None:
    for kind in (Kind.SMTP, Kind.SUBMISSION):
        stage = Stage(limits=LIMITS, policy=Site(), kind=kind, is_secure=True)
        said = codes(
            stage.say(
                b"EHLO x\r\nAUTH PLAIN " + (b64encode(words) or b"=") + b"\r\n"
                b"MAIL FROM:<a@l.test>\r\nRCPT TO:<x@x.test>\r\n"
            )
        )
        assert not [code for code in said[1:] if code.startswith("235")]
        assert said[-1][:3] in {"550", "503"}


@pytest.mark.parametrize(
    "parameter",
    [
        *(b"SIZE=1>", b"SIZE=1\0", b"SIZE=1\t2", b"ENVID=a+0D+0Ab", b"ENVID=a\x0bb"),
        *(b"ENVID=a b", b"RET=FULL>", b"AUTH=<>", b"BODY=8BITMIME>"),
    ],
)
def test_a_parameter_of_mail_carries_nothing_along(parameter: bytes) -> None:
    stage = Stage(limits=LIMITS, policy=Site())
    said = stage.say(b"EHLO x\r\nMAIL FROM:<a@x.test> " + parameter + b"\r\n")
    assert codes(said)[-1][:3] in {"501", "555"}


@pytest.mark.parametrize(
    "parameter",
    [
        *(b"NOTIFY=SUCCESS>", b"NOTIFY=NEVER,<x@x.test>", b"ORCPT=rfc822;a+0D+0Ab"),
        *(b"ORCPT=rfc822;a\0b", b"ORCPT=<x@x.test>", b"<x@x.test>"),
    ],
)
def test_a_parameter_of_rcpt_carries_nothing_along(parameter: bytes) -> None:
    stage = opened(b"<a@x.test>")
    said = stage.say(b"RCPT TO:<talk@l.test> " + parameter + b"\r\n")
    assert codes(said)[-1][:3] in {"501", "555"}
    assert codes(stage.say(b"DATA\r\n")) == ["554 5.5.1"]


@pytest.mark.parametrize("sender", SENDERS)
def test_no_field_of_a_message_names_a_recipient(sender: bytes) -> None:
    stage = opened(sender)
    names = (
        b"To Cc Bcc Resent-To Resent-Bcc Apparently-To Errors-To Return-Receipt-To"
        b" Disposition-Notification-To Delivered-To X-Envelope-To X-Original-To"
    )
    head = b"".join(name + b": <x@x.test>\r\n" for name in names.split())
    said = stage.say(
        b"RCPT TO:<team@l.test>\r\nDATA\r\nFrom: a@x.test\r\n"
        + head
        + b"\r\nhi\r\n.\r\n"
    )
    assert codes(said)[-1] == "250 2.0.0"
    told = set(Delivery.objects.values_list("address", flat=True))
    assert told == {"sam@people.test", "olga@people.test"}
