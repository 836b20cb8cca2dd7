"""Mail to -join, -leave, -request, confirm+T: who is answered, and how often."""

from __future__ import annotations

import base64

import pytest
from django.core import mail

from lists.models import MailingList, Request, Subscription
from lists.subscriptions import limits
from lists.subscriptions.asking import ask_to_join, take_command, take_confirmation
from smtpd import tokens
from smtpd.tokens import Purpose
from tests.lists.posts import NICK, SAM, make_list, make_mail, read, store, subscribe

pytestmark = pytest.mark.django_db


def send(
    mlist: MailingList,
    kind: str,
    *extra: str,
    author: str = NICK,
    body: str = "",
    reverse_path: str = NICK,
) -> None:
    raw = make_mail(*extra, author=author, body=body)
    message, facts = store(raw, reverse_path=reverse_path)
    take_command(mlist, kind, message, facts)


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


JOIN = "Please confirm: join Talk?"
LEAVE = "This address is not on Talk"
HELP = "How Talk works"


@pytest.mark.parametrize(
    ("kind", "extra", "body", "expected"),
    [
        ("join", (), "", JOIN),
        ("subscribe", (), "anything at all\r\n", JOIN),
        ("leave", (), "", LEAVE),
        ("unsubscribe", (), "", LEAVE),
        ("request", ("Subject: subscribe",), "", JOIN),
        ("request", ("Subject: Re: JOIN",), "", JOIN),
        ("request", ("Subject: =?utf-8?b?am9pbg==?=",), "", JOIN),
        ("request", ("Subject: Unsubscribe me please",), "", LEAVE),
        ("request", ("Subject:",), "\r\n> quoted join\r\njoin\r\n", JOIN),
        ("request", ("Subject: hello",), "please take me off this list\r\n", HELP),
        ("request", ("Subject: help",), "", HELP),
        ("request", ("Subject: join address=victim@y.test",), "", HELP),
        ("request", ("Subject: subscribe victim@y.test",), "", HELP),
        ("request", ("Subject: who",), "", HELP),
    ],
)
def test_a_command_is_answered_to_its_author(
    kind: str, extra: tuple[str, ...], body: str, expected: str
) -> None:
    send(make_list(), kind, *extra, body=body)
    assert subjects() == [expected]
    assert mail.outbox[0].to == [NICK]


def test_a_command_in_an_encoded_body_is_read() -> None:
    body = base64.b64encode(b"subscribe\r\n").decode() + "\r\n"
    send(
        make_list(),
        "request",
        "Subject: hi",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        body=body,
    )
    assert subjects() == [JOIN]


@pytest.mark.parametrize(
    "extra",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: Auto-Generated; owner-email=x@y.test",
        "Precedence: bulk",
        "Precedence: JUNK",
        "Precedence: list",
        "List-Id: <other.y.test>",
        "List-Unsubscribe: <mailto:x@y.test>",
        "X-Auto-Response-Suppress: All",
        "Subject: Automatic reply: Please confirm",
        "Subject: Re: Out of office",
        "From: mailer-daemon@y.test",
        "From: no-reply@y.test",
        "From: noreply-news@y.test",
        "From: talk@lists.test",
        "From: talk-request@lists.test",
        "From: a@y.test, b@y.test",
        "From: not an address",
    ],
)
@pytest.mark.parametrize("kind", ["join", "leave", "request"])
def test_machines_and_ourselves_are_never_answered(kind: str, extra: str) -> None:
    send(make_list(), kind, extra)
    assert not mail.outbox
    assert not Request.objects.exists()


def test_auto_submitted_no_is_a_person() -> None:
    send(make_list(), "join", "Auto-Submitted: no")
    assert subjects() == [JOIN]


def test_the_null_sender_is_never_answered() -> None:
    send(make_list(), "join", reverse_path="")
    assert not mail.outbox


def test_one_sender_gets_five_answers_a_day() -> None:
    lists = [make_list("one"), make_list("two"), make_list("three")]
    for mlist in lists * 4:
        send(mlist, "request", "Subject: what is this")
    assert len(mail.outbox) == limits.PER_ADDRESS


def test_a_closed_list_says_so_by_mail() -> None:
    mlist = make_list(joining=MailingList.Joining.CLOSED)
    send(mlist, "join")
    [answer] = mail.outbox
    assert "talk-owner@lists.test" in answer.body
    assert answer.extra_headers["Auto-Submitted"] == "auto-replied"


def test_a_reply_to_the_signed_address_confirms() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    request = Request.objects.get()
    assert take_confirmation(request.pk, read(make_mail(author=SAM)))
    assert Subscription.objects.get().subscriber.folded == NICK


def test_an_automatic_answer_confirms_nothing() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    request = Request.objects.get()
    for extra in ("Auto-Submitted: auto-replied", "Precedence: bulk"):
        assert not take_confirmation(request.pk, read(make_mail(extra)))
    vacation = read(make_mail("Subject: Automatic reply: Please confirm"))
    assert not take_confirmation(request.pk, vacation)
    assert not take_confirmation(request.pk, read(make_mail(), reverse_path=""))
    assert not Subscription.objects.exists()


def test_confirm_with_its_token_is_a_command() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    token = tokens.make(Purpose.CONFIRM, Request.objects.get().pk)
    send(mlist, "request", "Subject: Re: confirm " + "x" * 29)
    assert not Subscription.objects.exists()
    send(mlist, "request", f"Subject: Re: confirm {token.upper()}")
    assert Subscription.objects.exists()


def test_a_question_that_is_gone_is_no_error() -> None:
    assert not take_confirmation(4711, read(make_mail()))


def test_a_member_asks_by_mail_to_leave() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    send(mlist, "leave", author=SAM)
    assert subjects() == ["Please confirm: leave Talk?"]
    assert mail.outbox[0].to == [SAM]


def test_deep_and_huge_bodies_are_not_read() -> None:
    mlist = make_list()
    deep = "".join(
        f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n"
        for n in range(1000)
    )
    send(mlist, "request", "Content-Type: multipart/mixed; boundary=b0", body=deep)
    send(mlist, "request", body="x\r\n" * 50_000 + "join\r\n")
    assert subjects() == [HELP, HELP]
