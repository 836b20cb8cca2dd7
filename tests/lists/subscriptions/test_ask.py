"""Asking to join and leave: the question, its limits, its silence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lists.models import MailingList, Request, Subscription
from lists.subscriptions import limits
from lists.subscriptions.actions import join
from lists.subscriptions.asking import (
    JoiningClosed,
    ask_to_join,
    ask_to_leave,
    confirm,
)
from smtpd import tokens
from smtpd.tokens import Purpose
from tests.lists.posts import NICK, SAM, make_list, subscribe

pytestmark = pytest.mark.django_db


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def test_the_question_goes_to_the_address_and_can_be_answered_two_ways() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK, name="Buy pills at http://x.test", asked_from="192.0.2.1")
    [question] = mail.outbox
    request = Request.objects.get()
    token = tokens.make(Purpose.CONFIRM, request.pk)
    assert question.to == [NICK]
    assert f"confirm+{token}@lists.test" in question.from_email
    assert f"{settings.BASE_URL}/confirm/{token}" in question.body
    assert question.extra_headers["Auto-Submitted"] == "auto-generated"
    assert not any(name.startswith("List-") for name in question.extra_headers)
    assert "pills" not in str(question.message())
    assert not Subscription.objects.exists()


def test_confirming_makes_a_verified_member_and_welcomes_them_once() -> None:
    mlist = make_list()
    ask_to_join(mlist, "Nick@Elsewhere.TEST", name="Nick")
    request = Request.objects.get()
    assert confirm(request)
    assert confirm(Request.objects.get())
    subscription = Subscription.objects.get()
    assert subscription.subscriber.address == "Nick@elsewhere.test"
    assert subscription.subscriber.folded == NICK
    assert subscription.subscriber.name == "Nick"
    assert subscription.subscriber.verified_at
    assert subjects()[1:] == ["Welcome to Talk"]


def test_a_second_answer_does_not_bring_back_who_has_left() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    assert confirm(Request.objects.get())
    Subscription.objects.all().delete()
    assert confirm(Request.objects.get())
    assert not Subscription.objects.exists()


def test_a_stale_second_reader_of_the_row_changes_nothing() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    first, second = Request.objects.get(), Request.objects.get()
    assert confirm(first)
    Subscription.objects.all().delete()
    assert confirm(second)
    assert not Subscription.objects.exists()


def test_a_question_expires_after_three_days() -> None:
    ask_to_join(make_list(), NICK)
    request = Request.objects.get()
    assert timedelta(days=2, hours=23) < request.expires_at - timezone.now()
    Request.objects.update(expires_at=timezone.now())
    assert not confirm(Request.objects.get())
    assert not Subscription.objects.exists()


def test_a_list_that_closed_meanwhile_takes_no_answer() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    MailingList.objects.update(joining=MailingList.Joining.CLOSED)
    assert not confirm(Request.objects.get())


def test_a_closed_list_refuses_visibly_but_lets_people_leave() -> None:
    mlist = make_list(joining=MailingList.Joining.CLOSED)
    subscribe(mlist, SAM)
    with pytest.raises(JoiningClosed):
        ask_to_join(mlist, NICK)
    assert not mail.outbox
    ask_to_leave(mlist, SAM)
    assert subjects() == ["Please confirm: leave Talk?"]


def test_members_and_strangers_look_the_same_from_outside() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    for ask in (ask_to_join, ask_to_leave):
        for address in (SAM, NICK):
            ask(mlist, address)
    assert [message.to for message in mail.outbox] == [[SAM], [NICK], [SAM], [NICK]]
    assert subjects() == [
        "You are on Talk already",
        "Please confirm: join Talk?",
        "Please confirm: leave Talk?",
        "This address is not on Talk",
    ]
    assert Request.objects.count() == 4


def test_asking_costs_the_same_statements_for_member_and_stranger() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    counts = []
    for address in (SAM, NICK):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask_to_join(mlist, address)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_leaving_by_confirmation_ends_with_a_goodbye() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    ask_to_leave(mlist, SAM)
    assert confirm(Request.objects.get())
    assert not Subscription.objects.exists()
    assert subjects()[1:] == ["You have left Talk"]


def test_five_hundred_sign_ups_make_five_mails() -> None:
    lists = [make_list(f"talk{number}") for number in range(10)]
    for number in range(500):
        mlist = lists[number % 10]
        victim = ("victim", "victim+tag", "Victim", "victim+x.y")[number % 4]
        ask_to_join(mlist, f"{victim}@y.test", asked_from=f"192.0.2.{number // 2}")
    assert len(mail.outbox) == limits.PER_ADDRESS


def test_one_list_asks_an_address_three_times_a_day() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    for _ in range(4):
        ask_to_join(mlist, SAM)
    assert len(mail.outbox) == limits.PER_LIST
    long_ago = timezone.now() - limits.DAY
    Request.objects.update(created_at=long_ago)
    ask_to_join(mlist, SAM)
    assert len(mail.outbox) == limits.PER_LIST + 1


def test_gmail_dots_and_tags_are_one_mailbox() -> None:
    mlist = make_list()
    for spelling in (
        "v.i.c@gmail.com",
        "vic+1@gmail.com",
        "vi.c@googlemail.com",
        "vic@gmail.com",
    ):
        ask_to_join(mlist, spelling)
    assert len(mail.outbox) == limits.PER_LIST


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("192.0.2.1", "192.0.2.10"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
    ],
)
def test_one_source_asks_thirty_times_an_hour(first: str, other: str) -> None:
    mlist = make_list()
    for number in range(limits.PER_SOURCE + 5):
        ask_to_join(mlist, f"p{number}@people.test", asked_from=first)
    assert len(mail.outbox) == limits.PER_SOURCE
    ask_to_join(mlist, NICK, asked_from=other)
    assert len(mail.outbox) == limits.PER_SOURCE + 1


def test_a_whole_ipv6_network_is_one_source() -> None:
    mlist = make_list()
    for number in range(limits.PER_SOURCE + 5):
        ask_to_join(mlist, f"p{number}@people.test", asked_from=f"2001:db8::{number:x}")
    assert len(mail.outbox) == limits.PER_SOURCE


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nick",
        "nick@",
        "@x.test",
        "a b@x.test",
        "nick@[192.0.2.1]",
        "n\r\nBcc: x@y.test",
        "nick@x.test, sam@x.test",
        "x" * 65 + "@x.test",
        "<nick@x.test>",
    ],
)
def test_what_is_no_address_is_the_askers_mistake(address: str) -> None:
    with pytest.raises(ValidationError):
        ask_to_join(make_list(), address)
    assert not mail.outbox


def test_unanswered_questions_are_forgotten_and_answered_ones_kept() -> None:
    mlist = make_list()
    ask_to_join(mlist, NICK)
    ask_to_join(mlist, SAM)
    confirm(Request.objects.get(address=SAM))
    Request.objects.update(expires_at=timezone.now() - timedelta(days=2))
    assert limits.forget() == 1
    assert Request.objects.get().address == SAM


def test_a_suspended_member_who_asks_to_join_gets_the_link_that_resumes() -> None:
    mlist = make_list()
    subscription, _ = join(mlist, SAM)
    subscription.suspended_by = Subscription.SuspendedBy.BOUNCES
    subscription.save()
    ask_to_join(mlist, SAM)
    assert tokens.make(Purpose.RESUME, subscription.pk) in mail.outbox[0].body
