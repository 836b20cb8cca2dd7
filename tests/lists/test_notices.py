"""What our mail looks like when it leaves."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from lists import notices
from lists.models import MemberImport, Post, Request, Subscription, Wave
from lists.notices import ControlCharacter
from lists.subscriptions.asking import ask_to_join
from smtpd.models import Delivery, Outgoing
from tests.lists.posts import (
    MORI,
    NICK,
    OLGA,
    SAM,
    make_list,
    make_mail,
    make_people,
    post_to,
)

pytestmark = pytest.mark.django_db
FOLDER = Path(settings.BASE_DIR, "templates", "lists", "mail")


@pytest.fixture
def held() -> Post:
    mlist = make_list()
    make_people(mlist)
    subject = "Subject: =?utf-8?q?hi=0D=0ABcc:_x=40y.test?="
    post = post_to(mlist, make_mail(subject, author=NICK), reverse_path=NICK)
    mail.outbox.clear()
    return post


def write_all(post: Post) -> None:
    """Every notice there is, once."""
    mlist = post.mailing_list
    request: Any = {"mailing_list": mlist, "address": NICK, "folded": NICK}
    join = Request.objects.create(kind="join", expires_at=post.created_at, **request)
    member = Subscription.objects.get(subscriber__folded=SAM)
    notices.confirm_join(join)
    notices.confirm_leave(join)
    notices.already_member(join, member)
    notices.not_member(join)
    notices.not_open(join)
    notices.how_lists_work(join)
    notices.welcome(member)
    notices.goodbye(mlist, SAM)
    notices.suspended(member)
    notices.post_rejected(post, "Please read the rules & <come back>.")
    notices.post_held(post)
    notices.owner_suspended_report(member, "hard", "550 5.1.1", "no such user")
    notices.owner_left(member)
    notices.wave(Wave(pk=7, post=post, failed=11, total=40))
    olga: Any = post.mailing_list.address.domain.admins.create(email=OLGA)
    job = MemberImport(mailing_list=mlist, by=olga, total=3, added=2)
    notices.import_done(job)


def test_every_notice_is_readable_and_says_a_machine_wrote_it(held: Post) -> None:
    write_all(held)
    # post_held goes to two people.
    assert len(mail.outbox) == len(list(FOLDER.glob("*.subject.txt"))) + 1
    for message in mail.outbox:
        name = f"{message.subject}"
        assert message.extra_headers["Auto-Submitted"].startswith("auto-"), name
        assert "Talk" in message.from_email, name
        assert "@lists.test>" in message.from_email, name
        assert len(message.to) == 1, name
        headers = {header.lower() for header in message.message()}
        assert not any(header.startswith("list-") for header in headers), name
        assert "precedence" not in headers, name
        body = str(message.body)
        assert body.startswith("Hello"), name
        assert "\n\n\n" not in body, name
        assert not any(sign in body for sign in ("{{", "{%", "None", "&amp;")), name
        long = [line for line in body.splitlines() if len(line) > 78]
        assert all("http" in line for line in long), name


def test_moderators_hear_of_a_held_post_each_for_themselves(held: Post) -> None:
    notices.post_held(held)
    assert sorted(message.to[0] for message in mail.outbox) == sorted([MORI, OLGA])
    notice = mail.outbox[0]
    assert "hi Bcc: x@y.test" in notice.subject
    assert f"/lists/talk@lists.test/moderation/{held.pk}/" in notice.body
    assert NICK in notice.body


def test_a_flood_of_held_posts_is_not_a_flood_of_notices(held: Post) -> None:
    mlist = held.mailing_list
    for number in range(notices.HELD_AN_HOUR + 5):
        raw = make_mail(f"Message-ID: <{number}@y.test>", author=NICK)
        post_to(mlist, raw.replace(b"<1@people.test>", b"<x>"), reverse_path=NICK)
    to_olga = [message for message in mail.outbox if message.to == [OLGA]]
    assert 0 < len(to_olga) <= notices.HELD_AN_HOUR


def test_a_list_without_owners_is_looked_after_by_the_domains_admins(
    held: Post,
) -> None:
    mlist = held.mailing_list
    mlist.subscriptions.staff().delete()
    mlist.address.domain.admins.create(email="admin@site.test")
    notices.post_held(held)
    assert [message.to for message in mail.outbox] == [["admin@site.test"]]


def test_a_control_character_never_reaches_a_header(held: Post) -> None:
    mlist = held.mailing_list
    mlist.name = "Talk\r\nBcc: x@y.test"
    with pytest.raises(ControlCharacter):
        notices.goodbye(mlist, SAM)
    mlist.name = "Talk"
    with pytest.raises(ControlCharacter):
        notices.goodbye(mlist, "sam@people.test\r\nBcc: x@y.test")
    assert not mail.outbox


def test_a_notice_goes_through_the_queue_with_the_null_sender(
    settings: Any,
) -> None:
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    ask_to_join(make_list(title="Küche"), NICK)
    delivery = Delivery.objects.get()
    assert (delivery.address, delivery.lane) == (NICK, Outgoing.Lane.FAST)
    assert delivery.outgoing.reverse_path == ""
    raw = bytes(delivery.outgoing.message.raw)
    message = message_from_bytes(raw, policy=policy.default)
    assert message["From"].addresses[0].display_name == "Küche"
    assert message["From"].addresses[0].username.startswith("confirm+")
    assert message["Subject"] == "Please confirm: join Küche?"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == NICK
