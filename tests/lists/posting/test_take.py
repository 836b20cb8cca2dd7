from __future__ import annotations

from typing import Any

import pytest

from lists.models import Post, Subscription
from lists.posting import actions as posting
from smtpd.models import Message, Outgoing
from smtpd.verdict import Outcome
from tests.lists.posts import (
    MORI,
    NICK,
    OLGA,
    SAM,
    make_list,
    make_mail,
    make_people,
    post_to,
    read,
    store,
    subscribe,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


def kinds(message: Message) -> list[str]:
    return list(message.events.values_list("kind", flat=True))


def test_a_members_post_is_accepted_and_nudged(
    django_capture_on_commit_callbacks: Any,
) -> None:
    mlist = make_list()
    make_people(mlist)
    with django_capture_on_commit_callbacks() as callbacks:
        post = post_to(mlist, make_mail(author=f"Sam <{SAM}>"))
    assert post.state == Post.State.ACCEPTED
    assert (post.author, post.author_name, post.subject) == (SAM, "Sam", "hi")
    assert post.msg_id == "<1@people.test>"
    assert kinds(post.message) == []
    assert len(callbacks) == 1
    assert list(Post.objects.to_fan_out()) == [post]


@pytest.mark.parametrize(
    ("author", "outcome"),
    [
        (SAM, Outcome.ACCEPT),
        ("SAM@People.TEST", Outcome.ACCEPT),
        ('"Sam S." <sam@PEOPLE.test>', Outcome.ACCEPT),
        ("sam+tag@people.test", Outcome.HOLD),
        (NICK, Outcome.HOLD),
        (f'"{SAM}" <{NICK}>', Outcome.HOLD),
        (f'"{SAM}"', Outcome.REFUSE),
        (f"{SAM}\r\nReply-To: {OLGA}", Outcome.ACCEPT),
        (f"{NICK}\r\nReply-To: {SAM}", Outcome.HOLD),
        (f"{NICK}\r\nSender: {SAM}", Outcome.HOLD),
        (f"{NICK}\r\nResent-From: {SAM}", Outcome.HOLD),
        (f"{NICK}, {SAM}", Outcome.HOLD),
        (f"{SAM}, {NICK}", Outcome.HOLD),
        (f"{SAM}\r\nFrom: {NICK}", Outcome.HOLD),
    ],
)
def test_the_address_in_from_is_the_poster(author: str, outcome: Outcome) -> None:
    mlist = make_list()
    make_people(mlist)
    facts = read(make_mail(author=author), reverse_path=SAM)
    assert posting.judge(mlist.address_id, facts).outcome is outcome


def test_a_member_of_another_list_is_a_stranger_here() -> None:
    subscribe(make_list("other"), SAM)
    verdict = posting.judge(make_list().address_id, read(make_mail()))
    assert verdict.outcome is Outcome.HOLD


def test_the_form_of_a_list_decides(django_assert_max_num_queries: Any) -> None:
    mlist = make_list(posters="owners", others="refuse", max_size=1000)
    make_people(mlist)
    with django_assert_max_num_queries(2):
        verdict = posting.judge(mlist.address_id, read(make_mail()))
    assert verdict.reply is not None
    assert "http://testserver/lists/talk@lists.test/" in verdict.reply.text
    assert (
        posting.judge(mlist.address_id, read(make_mail(author=MORI))).outcome
        is Outcome.ACCEPT
    )
    big = posting.judge(mlist.address_id, read(make_mail(author=MORI, body="x" * 1000)))
    assert big.outcome is Outcome.REFUSE


def test_an_owners_word_about_one_member_stands() -> None:
    mlist = make_list(posters="owners")
    subscribe(mlist, SAM, posting=Subscription.Posting.ALLOWED)
    assert posting.judge(mlist.address_id, read(make_mail())).outcome is Outcome.ACCEPT
    mlist.subscriptions.update(posting=Subscription.Posting.HELD)
    assert posting.judge(mlist.address_id, read(make_mail())).outcome is Outcome.HOLD


def test_a_held_post_waits_and_its_moderators_are_told(
    django_capture_on_commit_callbacks: Any,
) -> None:
    mlist = make_list()
    make_people(mlist)
    post = post_to(mlist, make_mail(author=NICK), reverse_path=NICK)
    assert list(Post.objects.held()) == [post]
    assert post.reasons == ["The author is not subscribed to this list."]
    assert kinds(post.message) == ["held"]
    told = {
        row.address for out in Outgoing.objects.all() for row in out.deliveries.all()
    }
    assert told == {OLGA, MORI}
    assert not Post.objects.to_fan_out().exists()


def test_the_same_message_again_changes_nothing(
    django_capture_on_commit_callbacks: Any,
) -> None:
    mlist = make_list()
    make_people(mlist)
    first = post_to(mlist, make_mail())
    again = read(make_mail())
    assert posting.judge(mlist.address_id, again).outcome is Outcome.DISCARD
    # Two sessions at once: both judged before either stored.
    message, facts = store(make_mail())
    verdict = posting.judge(make_list("other").address_id, facts)
    with django_capture_on_commit_callbacks() as callbacks:
        assert posting.take(mlist, message, facts, verdict) == first
    assert mlist.posts.count() == 1
    assert kinds(message) == ["duplicate"]
    assert callbacks == []


def test_one_message_may_be_on_two_lists_each_with_its_own_body() -> None:
    one, two = make_list(), make_list("other")
    make_people(one)
    first = post_to(one, make_mail())
    second = post_to(two, make_mail(body="Other\r\n"))
    assert first.message != second.message
    assert b"Other" in bytes(second.message.raw)


def test_without_a_message_id_the_content_tells_duplicates_apart() -> None:
    mlist = make_list()
    make_people(mlist)
    nameless = make_mail("Message-ID:")
    post_to(mlist, nameless)
    post_to(mlist, nameless)
    other = post_to(mlist, make_mail("Message-ID:", body="Other\r\n"))
    assert mlist.posts.count() == 2
    assert other.msg_id.endswith("@lists.test>")
