from __future__ import annotations

from typing import Any

import pytest

from lists import inbound
from lists.models import MailingList, Post, Request, Subscription
from smtpd import intake, paths, replies, routing, tokens
from smtpd.envelope import Envelope
from smtpd.models import Address, Delivery, Message
from smtpd.replies import Reply
from smtpd.routing import Route
from smtpd.tokens import Purpose
from smtpd.verdict import Outcome
from tests.lists.posts import (
    NICK,
    OLGA,
    SAM,
    make_list,
    make_mail,
    make_people,
    read,
    subscribe,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("own_mail"),
]


@pytest.fixture
def mlist() -> MailingList:
    made = make_list()
    make_people(made)
    return made


def resolve(mailbox: str) -> Route | Reply:
    return routing.resolve(paths.mailbox(mailbox))


def send(raw: bytes, *mailboxes: str, reverse_path: str = SAM) -> Reply:
    """One transaction of SMTP, from RCPT to the final reply."""
    routes = [resolve(mailbox) for mailbox in mailboxes]
    taken = [route for route in routes if isinstance(route, Route)]
    assert len(taken) == len(mailboxes), routes
    return intake.accept(
        Envelope(reverse_path, routes=taken, forward_paths=list(mailboxes)), raw
    )


@pytest.mark.parametrize(
    ("local_part", "kind"),
    [
        ("talk", "post"),
        ("TALK", "post"),
        ("talk+tag", "post"),
        ("talk-request", "request"),
        ("Talk-Request", "request"),
        ("talk-join", "join"),
        ("talk-subscribe", "join"),
        ("talk-leave", "leave"),
        ("talk-unsubscribe", "leave"),
        ("talk-owner", "owner"),
        ("talk-owner+tag", "owner"),
    ],
)
def test_a_list_answers_at_its_addresses(
    mlist: MailingList, local_part: str, kind: str
) -> None:
    found = resolve(f"{local_part}@lists.test")
    assert isinstance(found, Route)
    assert (found.door, found.kind, found.target) == (
        "lists",
        kind,
        mlist.address_id,
    )


@pytest.mark.parametrize("local_part", ["talk-bogus", "other-join", "-join", "join"])
def test_what_belongs_to_no_list_is_unknown(
    mlist: MailingList, local_part: str
) -> None:
    assert resolve(f"{local_part}@lists.test") == replies.NO_SUCH_USER


def test_a_real_address_wins_over_a_sub_address(mlist: MailingList) -> None:
    other = make_list("talk-join")
    found = resolve("talk-join@lists.test")
    assert isinstance(found, Route)
    assert (found.kind, found.target) == ("post", other.address_id)


def test_a_disabled_list_takes_no_mail_at_any_address(mlist: MailingList) -> None:
    Address.objects.filter(mailing_list=mlist).update(is_enabled=False)
    for local_part in ("talk", "talk-join", "talk-owner"):
        assert resolve(f"{local_part}@lists.test") == replies.DISABLED


@pytest.mark.parametrize(
    ("name", "purpose", "kind"),
    [
        ("bounces", Purpose.BOUNCE, "bounce"),
        ("confirm", Purpose.CONFIRM, "confirm"),
        ("leave", Purpose.UNSUBSCRIBE, "unsubscribe"),
    ],
)
def test_a_signed_address_leads_to_what_it_names(
    mlist: MailingList, name: str, purpose: Purpose, kind: str
) -> None:
    token = tokens.make(purpose, 42)
    for local_part in (f"{name}+{token}", f"{name}+{token}".upper()):
        found = resolve(f"{local_part}@lists.test")
        assert isinstance(found, Route)
        assert (found.kind, found.target) == (kind, 42)
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    others = {tokens.make(other, 42) for other in Purpose} - {token}
    for wrong in (forged, "", "x", *others):
        assert resolve(f"{name}+{wrong}@lists.test") == replies.BAD_TOKEN


def test_routing_a_post_asks_the_lists_nothing(
    mlist: MailingList, django_assert_num_queries: Any
) -> None:
    address = Address.objects.select_related("domain").get(mailing_list=mlist)
    with django_assert_num_queries(0):
        assert inbound.route(address, "talk@lists.test") is not None


def test_judging_a_post_takes_three_queries(
    mlist: MailingList, django_assert_max_num_queries: Any
) -> None:
    found = resolve("talk@lists.test")
    assert isinstance(found, Route)
    with django_assert_max_num_queries(3):
        assert inbound.judge(found, read(make_mail())).outcome is Outcome.ACCEPT


def test_a_post_is_taken(mlist: MailingList) -> None:
    assert send(make_mail(), "talk@lists.test").code == 250
    assert Post.objects.get().state == Post.State.ACCEPTED


def test_a_strangers_post_is_held_or_refused(mlist: MailingList) -> None:
    raw = make_mail(author=NICK)
    assert send(raw, "talk@lists.test", reverse_path=NICK).code == 250
    assert Post.objects.get().state == Post.State.HELD
    MailingList.objects.update(others="refuse")
    raw = make_mail("Message-ID: <2@elsewhere.test>", author=NICK)
    reply = send(raw, "talk@lists.test", reverse_path=NICK)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "http://testserver/lists/talk@lists.test/" in reply.text
    assert Message.objects.filter(source="smtp").count() == 1


def test_a_resend_after_a_lost_reply_is_one_post(mlist: MailingList) -> None:
    assert send(make_mail(), "talk@lists.test").code == 250
    assert send(make_mail(), "talk@lists.test").code == 250
    assert Post.objects.count() == 1
    last = Message.objects.first()
    assert last is not None
    assert "already has this message" in last.events.last().text  # type: ignore[union-attr] # there is one


def test_a_copy_coming_back_is_refused(mlist: MailingList) -> None:
    reply = send(
        make_mail("List-Id: Talk <talk.lists.test>", "Message-ID: <other@x>"),
        "talk@lists.test",
    )
    assert (reply.code, reply.enhanced) == (550, "5.4.6")


def test_mail_to_the_owners_reaches_them_once(mlist: MailingList) -> None:
    raw = make_mail(author=NICK)
    assert send(raw, "talk-owner@lists.test", reverse_path=NICK).code == 250
    assert list(Delivery.objects.values_list("address", flat=True)) == [OLGA]
    back = b"Delivered-To: talk-owner@lists.test\r\n" + raw
    reply = send(back, "talk-owner@lists.test", reverse_path=NICK)
    assert (reply.code, reply.enhanced) == (550, "5.4.6")


def test_a_list_nobody_owns_refuses_mail_to_its_owners() -> None:
    make_list()
    reply = send(make_mail(), "talk-owner@lists.test")
    assert reply.code == 550
    assert not Message.objects.exists()


def test_mail_to_join_asks_the_sender(mlist: MailingList) -> None:
    raw = make_mail(author=NICK)
    assert send(raw, "talk-join@lists.test", reverse_path=NICK).code == 250
    request = Request.objects.get()
    assert request.address == NICK
    assert Delivery.objects.get().address == NICK


def test_a_program_gets_no_answer(mlist: MailingList) -> None:
    raw = make_mail("Auto-Submitted: auto-replied", author=NICK)
    for local_part in ("talk-join", "talk-request"):
        send(raw, f"{local_part}@lists.test", reverse_path=NICK)
    send(make_mail(author=NICK), "talk-join@lists.test", reverse_path="")
    assert not Request.objects.exists()
    assert not Delivery.objects.exists()


def test_an_answer_to_the_question_joins(mlist: MailingList) -> None:
    raw = make_mail(author=NICK)
    send(raw, "talk-join@lists.test", reverse_path=NICK)
    token = tokens.make(Purpose.CONFIRM, Request.objects.get().pk)
    signed = f"confirm+{token}@lists.test"
    send(make_mail("Auto-Submitted: auto-replied", author=NICK), signed)
    assert not Subscription.objects.filter(subscriber__folded=NICK).exists()
    assert send(raw, signed, reverse_path=NICK).code == 250
    assert Subscription.objects.filter(subscriber__folded=NICK).exists()


def test_mail_to_the_signed_address_of_a_copy_leaves(mlist: MailingList) -> None:
    member = subscribe(mlist, NICK)
    token = tokens.make(Purpose.UNSUBSCRIBE, member.pk)
    for _ in range(2):
        assert send(make_mail(), f"leave+{token}@lists.test").code == 250
    assert not Subscription.objects.filter(pk=member.pk).exists()
    assert mlist.subscriptions.count() == 3
