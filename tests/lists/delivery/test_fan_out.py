from __future__ import annotations

from datetime import timedelta
from typing import Any

import dkim
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from lists.delivery import actions
from lists.delivery.actions import (
    failures_left_behind,
    fan_out,
    fan_out_waiting,
    forward_to_owners,
    is_left_behind,
)
from lists.models import Bounce, MailingList, Post, Subscription
from lists.moderation.actions import approve
from smtpd import fields
from smtpd.models import Delivery, Outgoing
from smtpd.outbound.render import Parts, compile_parts
from smtpd.routing import Route
from tests.at_once import THREADS, at_once
from tests.lists.delivery.test_rewrite import DATE, key_in_dns, signed
from tests.lists.posts import (
    MORI,
    NICK,
    OLGA,
    SAM,
    make_list,
    make_mail,
    make_people,
    post_to,
    store,
    subscribe,
)

TO_OWNERS = Route("lists", "owner", 0, "talk-owner@lists.test")

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def mlist() -> MailingList:
    made = make_list()
    make_people(made)
    return made


def recipients(outgoing: Outgoing) -> dict[str, int | None]:
    return dict(outgoing.deliveries.values_list("address", "ref"))


def rendered(outgoing: Outgoing, token: str = "t0k3n") -> bytes:
    """The copy as the sink gets it, unstuffed, without the final dot."""
    message = outgoing.message
    body = outgoing.body
    if body is None:
        body = bytes(message.raw)[message.body_at :]
    parts = Parts(
        bytes(outgoing.head),
        bytes(outgoing.copy_head),
        bytes(body),
        outgoing.body_splices,
    )
    copy = compile_parts(parts, None, signed_at=0).copy(token)
    assert copy.endswith(b"\r\n.\r\n")
    return copy[:-3].replace(b"\r\n..", b"\r\n.")


def test_every_subscriber_gets_a_row(mlist: MailingList) -> None:
    post = post_to(mlist, make_mail())
    assert fan_out(post.pk) == 3
    post.refresh_from_db()
    assert post.outgoing is not None
    assert post.recipients == 3
    assert post.fanned_out_at is not None
    members = dict(mlist.subscriptions.values_list("subscriber__address", "pk"))
    assert recipients(post.outgoing) == members
    assert set(members) == {OLGA, MORI, SAM}
    event = post.message.events.last()
    assert event is not None
    assert (event.kind, event.text) == ("frozen", "Talk: frozen to 3 recipients.")


def test_what_the_copies_share(mlist: MailingList) -> None:
    post = post_to(mlist, make_mail())
    fan_out(post.pk)
    out = Outgoing.objects.get(post=post)
    assert out.lane == Outgoing.Lane.BULK
    assert (out.envelope, out.reverse_path) == (Outgoing.Envelope.VERP, "lists.test")
    assert (out.body, out.body_splices, out.dkim_domain) == (None, [], None)
    assert bytes(out.head).startswith(b"Received: from a by mx.lists.test")
    assert b"http://testserver/u/{token}" in bytes(out.copy_head)


def test_a_domain_with_a_key_signs(mlist: MailingList) -> None:
    mlist.address.domain.dkim_key = "a key"
    mlist.address.domain.save()
    post = post_to(mlist, make_mail())
    fan_out(post.pk)
    assert Outgoing.objects.get(post=post).dkim_domain == mlist.address.domain


@pytest.mark.parametrize(
    "state",
    [
        {"mode": Subscription.Mode.DIGEST},
        {"mode": Subscription.Mode.NONE},
        {"suspended_by": Subscription.SuspendedBy.BOUNCES},
        {"suspended_by": Subscription.SuspendedBy.MEMBER},
        {"suspended_by": Subscription.SuspendedBy.OWNER},
    ],
)
def test_who_wants_no_copies_gets_none(
    mlist: MailingList, state: dict[str, str]
) -> None:
    subscribe(mlist, NICK, **state)
    post = post_to(mlist, make_mail())
    assert fan_out(post.pk) == 3
    assert not Delivery.objects.filter(address=NICK).exists()


def test_a_second_fan_out_changes_nothing(mlist: MailingList) -> None:
    post = post_to(mlist, make_mail())
    assert fan_out(post.pk) == 3
    subscribe(mlist, NICK)
    assert fan_out(post.pk) == 0
    assert Delivery.objects.count() == 3
    assert Outgoing.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_once() -> None:
    mlist = make_list()
    make_people(mlist)
    post = post_to(mlist, make_mail())
    assert sorted(at_once(lambda _: fan_out(post.pk))) == [*[0] * (THREADS - 1), 3]
    assert Delivery.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_fan_out_that_fails_leaves_the_post_to_the_next() -> None:
    mlist = make_list()
    make_people(mlist)
    post = post_to(mlist, make_mail())
    raw = bytes(post.message.raw)
    # The message outgrew every limit: nothing intake would have let in.
    post.message.raw = b"X: y\r\n" * 2000
    post.message.save()
    with pytest.raises(fields.TooMany):
        fan_out(post.pk)
    assert list(Post.objects.to_fan_out()) == [post]
    post.message.raw = raw
    post.message.save()
    assert fan_out(post.pk) == 3


@pytest.mark.parametrize("state", ["held", "rejected", "discarded"])
def test_only_accepted_posts_go_out(mlist: MailingList, state: str) -> None:
    post = post_to(mlist, make_mail())
    Post.objects.filter(pk=post.pk).update(state=state)
    assert fan_out(post.pk) == 0
    assert not Delivery.objects.exists()


def test_a_list_of_nobody_is_done_at_once() -> None:
    mlist = make_list(posters="anyone")
    post = post_to(mlist, make_mail())
    assert fan_out(post.pk) == 0
    post.refresh_from_db()
    assert post.fanned_out_at is not None


def test_the_signature_of_the_author_holds_on_the_copy(mlist: MailingList) -> None:
    raw = signed(make_mail(DATE, body=".Hello\r\n..\r\n\r\n"))
    post = post_to(mlist, raw)
    fan_out(post.pk)
    copy = rendered(Outgoing.objects.get(post=post))
    assert dkim.verify(copy, dnsfunc=key_in_dns)
    assert b"List-Unsubscribe: <http://testserver/u/t0k3n>," in copy


def test_each_copy_has_its_own_link_in_the_footer(mlist: MailingList) -> None:
    mlist.footer = "Leave: {unsubscribe}"
    mlist.save()
    post = post_to(mlist, make_mail())
    fan_out(post.pk)
    out = Outgoing.objects.get(post=post)
    assert b"Leave: http://testserver/u/one\r\n" in rendered(out, "one")
    assert b"Leave: http://testserver/u/two\r\n" in rendered(out, "two")


def test_the_sweep_finds_posts_whose_nudge_was_lost(mlist: MailingList) -> None:
    post = post_to(mlist, make_mail())
    assert not is_left_behind()
    minute_ago = timezone.now() - timedelta(minutes=1)
    Post.objects.filter(pk=post.pk).update(created_at=minute_ago)
    assert is_left_behind()
    assert not fan_out_waiting()
    assert Delivery.objects.count() == 3
    assert not is_left_behind()


def test_after_many_posts_others_have_a_turn(
    mlist: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "TURN", 0.001)
    count = 2 * actions.POSTS_TOGETHER + 1
    for number in range(count):
        post_to(mlist, make_mail(f"Message-ID: <{number}@people.test>"))
    turns = 1
    while fan_out_waiting():
        turns += 1
    assert turns > 1
    assert Outgoing.objects.count() == count


@pytest.mark.django_db(transaction=True)
def test_a_post_that_cannot_be_compiled_holds_nobody_up() -> None:
    mlist = make_list()
    make_people(mlist)
    broken = post_to(mlist, make_mail())
    raw = bytes(broken.message.raw)
    broken.message.raw = b"X: y\r\n" * 2000
    broken.message.save()
    good = post_to(mlist, make_mail("Message-ID: <good@people.test>"))
    assert not fan_out_waiting()
    assert not Post.objects.to_fan_out().exists()
    good.refresh_from_db()
    assert good.recipients == 3
    broken.refresh_from_db()
    assert broken.state == Post.State.HELD
    assert "could not be made ready" in broken.reasons[0]
    assert broken.message.events.filter(kind="held").exists()
    # A moderator may have it tried again.
    broken.message.raw = raw
    broken.message.save()
    assert approve(broken, by=None)
    assert not fan_out_waiting()
    broken.refresh_from_db()
    assert broken.recipients == 3


def test_the_sweep_finds_failures_nobody_was_told_of(mlist: MailingList) -> None:
    post = post_to(mlist, make_mail())
    fan_out(post.pk)
    lost = Delivery.objects.get(address=SAM)
    gone = Delivery.objects.get(address=MORI)
    minute_ago = timezone.now() - timedelta(minutes=1)
    Delivery.objects.exclude(address=OLGA).update(
        state=Delivery.State.FAILED, updated_at=minute_ago
    )
    assert gone.ref is not None
    Subscription.objects.filter(pk=gone.ref).delete()
    assert failures_left_behind() == [lost.pk]
    assert lost.ref is not None
    Bounce.objects.create(
        subscription_id=lost.ref, delivery=lost, kind=Bounce.Kind.HARD
    )
    assert failures_left_behind() == []


def test_mail_to_the_owners_goes_on_unchanged(mlist: MailingList) -> None:
    raw = make_mail("X-ODD:  x ", author=NICK)
    message, _ = store(raw, reverse_path=NICK)
    assert forward_to_owners(mlist, message, TO_OWNERS) == 1
    out = Outgoing.objects.get()
    assert recipients(out) == {OLGA: None}
    assert (out.envelope, out.reverse_path) == (Outgoing.Envelope.FIXED, NICK)
    assert out.lane == Outgoing.Lane.FAST
    trace = bytes(message.trace)
    assert rendered(out) == trace + b"Delivered-To: talk-owner@lists.test\r\n" + raw


def test_a_list_without_owners_is_looked_after_by_its_domain(
    django_user_model: Any,
) -> None:
    mlist = make_list()
    admin = get_user_model().objects.create_user("anna@lists.test")
    mlist.address.domain.admins.add(admin)
    message, _ = store(make_mail(author=NICK), reverse_path=NICK)
    assert forward_to_owners(mlist, message, TO_OWNERS) == 1
    assert recipients(Outgoing.objects.get()) == {"anna@lists.test": None}


@pytest.mark.django_db(transaction=True)
def test_several_posts_are_frozen_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CROWD", 3)
    monkeypatch.setattr(actions, "OCTETS_TOGETHER", 5000)
    lists = [make_list(name) for name in ("one", "two", "crowd", "three")]
    for mlist in lists:
        make_people(mlist)
    subscribe(lists[2], NICK)
    numbers = range(12)
    for number in numbers:
        raw = make_mail(f"Message-ID: <{number}@people.test>", body="x" * 500)
        post_to(lists[number % 4], raw)
    assert not fan_out_waiting()
    for post in Post.objects.select_related("mailing_list", "outgoing", "message"):
        assert post.outgoing is not None
        assert post.fanned_out_at is not None
        assert post.outgoing.message == post.message
        assert post.recipients == post.mailing_list.subscriptions.count()
        members = post.mailing_list.subscriptions.values_list(
            "subscriber__address", "pk"
        )
        assert recipients(post.outgoing) == dict(members)
        assert post.message.events.filter(kind="frozen").count() == 1
    assert Outgoing.objects.count() == len(numbers)
