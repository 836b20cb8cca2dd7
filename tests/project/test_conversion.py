from __future__ import annotations

import pytest

from aliases import actions as aliases
from aliases.models import Alias
from lists.models import MailingList, Post, Subscription
from project.conversion import NotConverted, WouldLose, alias_to_list, list_to_alias
from smtpd.models import Address, Message
from tests.aliases.makers import NICK, OLGA, SAM, make_domain, make_list, send, sent_to

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _domain() -> None:
    make_domain()


def people(mlist: MailingList) -> set[str]:
    return set(mlist.subscriptions.values_list("subscriber__address", flat=True))


def make_post(mlist: MailingList, state: str) -> Post:
    message = Message.objects.create(size=1, sha256="", body_at=0, raw=b"")
    post = Post.objects.create(
        mailing_list=mlist, message=message, state=state, msg_id="<1@x.test>"
    )
    if state == Post.State.ACCEPTED:
        Post.objects.filter(pk=post.pk).update(fanned_out_at=post.created_at)
    return post


def test_an_alias_becomes_a_list_at_the_same_address() -> None:
    alias = aliases.create("team@lists.test", [SAM, NICK])
    row = alias.address_id
    mlist = alias_to_list(alias, "The team", owner=OLGA)
    assert mlist.address_id == row
    assert Address.objects.get(pk=row).kind == Address.Kind.LIST
    assert people(mlist) == {OLGA, SAM, NICK}
    assert Subscription.objects.owners().get().subscriber.address == OLGA
    assert not Alias.objects.filter(address=row).exists()


def test_what_strangers_notice_stays() -> None:
    alias = aliases.create("team@lists.test", [SAM])
    mlist = alias_to_list(alias, "The team", owner=OLGA)
    assert not mlist.is_public
    assert mlist.joining == MailingList.Joining.CLOSED
    assert send("team@lists.test").is_positive
    assert Post.objects.get().state == Post.State.ACCEPTED


def test_an_alias_of_an_address_of_ours_stays_an_alias() -> None:
    make_list("talk@lists.test")
    alias = aliases.create("team@lists.test", [SAM, "talk@lists.test"])
    with pytest.raises(NotConverted, match=r"talk@lists\.test"):
        alias_to_list(alias, "The team", owner=OLGA)
    assert Alias.objects.filter(pk=alias.pk).exists()
    assert MailingList.objects.count() == 1


def test_the_postmaster_stays_an_alias() -> None:
    alias = Alias.objects.get(address__local_part="postmaster")
    with pytest.raises(NotConverted):
        alias_to_list(alias, "Postmaster", owner=OLGA)


def test_a_list_becomes_an_alias_of_its_members() -> None:
    mlist = make_list("talk@lists.test", SAM, NICK)
    row = mlist.address_id
    alias = list_to_alias(mlist)
    assert alias.address_id == row
    assert {target.mailbox for target in alias.targets.all()} == {OLGA, SAM, NICK}
    assert send("talk@lists.test").is_positive
    assert sent_to() == sorted([OLGA, SAM, NICK])


def test_there_and_back_keeps_everybody() -> None:
    alias = aliases.create("team@lists.test", [SAM, NICK])
    alias = list_to_alias(alias_to_list(alias, "The team", owner=SAM))
    assert {target.mailbox for target in alias.targets.all()} == {SAM, NICK}


def test_history_is_forgotten_only_with_consent() -> None:
    mlist = make_list("talk@lists.test", SAM)
    make_post(mlist, Post.State.ACCEPTED)
    with pytest.raises(WouldLose, match="1 past posts"):
        list_to_alias(mlist)
    assert Post.objects.count() == 1
    list_to_alias(mlist, confirmed=True)
    assert Post.objects.count() == 0
    assert Message.objects.count() == 1


def test_members_without_mail_are_left_out_only_with_consent() -> None:
    mlist = make_list("talk@lists.test", SAM, NICK)
    sams = Subscription.objects.filter(subscriber__address=SAM)
    sams.update(suspended_by="bounces")
    with pytest.raises(WouldLose, match="1 members"):
        list_to_alias(mlist)
    alias = list_to_alias(mlist, confirmed=True)
    assert {target.mailbox for target in alias.targets.all()} == {OLGA, NICK}


@pytest.mark.parametrize("confirmed", [True, False])
def test_posts_that_wait_are_never_dropped(confirmed: bool) -> None:
    mlist = make_list("talk@lists.test", SAM)
    post = make_post(mlist, Post.State.HELD)
    with pytest.raises(NotConverted, match="moderator"):
        list_to_alias(mlist, confirmed=confirmed)
    Post.objects.filter(pk=post.pk).update(state=Post.State.ACCEPTED)
    with pytest.raises(NotConverted, match="copies"):
        list_to_alias(mlist, confirmed=confirmed)
    assert MailingList.objects.filter(pk=mlist.pk).exists()


def test_what_cannot_subscribe_is_a_refusal() -> None:
    alias = aliases.create("team@lists.test", ["sam@[192.0.2.1]"])
    with pytest.raises(NotConverted):
        alias_to_list(alias, "The team", owner=OLGA)


def test_an_empty_list_is_no_alias() -> None:
    mlist = make_list("talk@lists.test")
    Subscription.objects.update(mode="none")
    with pytest.raises(NotConverted, match="at least one target"):
        list_to_alias(mlist, confirmed=True)
