from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from lists.models import Post
from lists.moderation.actions import approve, discard, reject
from smtpd.models import Delivery
from tests.lists.posts import MORI, NICK, make_list, make_mail, make_people, post_to

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def mori() -> Any:
    return get_user_model().objects.create_user(MORI)


@pytest.fixture
def held() -> Post:
    mlist = make_list()
    make_people(mlist)
    return post_to(mlist, make_mail(author=NICK), reverse_path=NICK)


def told() -> list[str]:
    mails = Delivery.objects.filter(address=NICK)
    return list(mails.values_list("address", flat=True))


def last_event(post: Post) -> tuple[str, str]:
    event = post.message.events.last()
    assert event is not None
    return event.kind, event.text


def test_an_approved_post_goes_out(
    held: Post, mori: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        assert approve(held, by=mori)
    assert len(callbacks) == 1
    held.refresh_from_db()
    assert (held.state, held.decided_by) == (Post.State.ACCEPTED, mori)
    assert list(Post.objects.to_fan_out()) == [held]
    assert last_event(held) == ("approved", f"Approved for Talk by {mori}.")
    assert told() == []


def test_a_rejected_author_is_told_why(held: Post, mori: Any) -> None:
    assert reject(held, by=mori, reason="Too loud.")
    held.refresh_from_db()
    assert (held.state, held.decision) == (Post.State.REJECTED, "Too loud.")
    assert told() == [NICK]
    assert last_event(held)[0] == "rejected"
    assert "Too loud." in last_event(held)[1]


def test_a_discarded_author_is_told_nothing(held: Post, mori: Any) -> None:
    assert discard(held, by=mori)
    assert told() == []
    assert last_event(held)[0] == "discarded"


@pytest.mark.parametrize("first", ["approve", "reject", "discard"])
@pytest.mark.parametrize("second", ["approve", "reject", "discard"])
def test_the_second_moderator_changes_nothing(
    held: Post,
    mori: Any,
    first: str,
    second: str,
    django_capture_on_commit_callbacks: Any,
) -> None:
    verbs: dict[str, Any] = {
        "approve": lambda post: approve(post, by=mori),
        "reject": lambda post: reject(post, by=mori, reason="No."),
        "discard": lambda post: discard(post, by=mori),
    }
    late = Post.objects.get(pk=held.pk)
    assert verbs[first](held)
    state, mails = held.state, told()
    steps = held.message.events.count()
    with django_capture_on_commit_callbacks() as callbacks:
        assert not verbs[second](late)
        assert not verbs[second](Post.objects.get(pk=held.pk))
    held.refresh_from_db()
    assert (held.state, told(), callbacks) == (state, mails, [])
    assert held.message.events.count() == steps


@pytest.mark.parametrize(
    "field", ["Auto-Submitted: auto-generated", "Precedence: bulk"]
)
def test_a_program_is_not_answered(mori: Any, field: str) -> None:
    mlist = make_list()
    post = post_to(mlist, make_mail(field, author=NICK), reverse_path=NICK)
    assert post.state == Post.State.HELD
    assert reject(post, by=mori, reason="No.")
    assert told() == []
    assert "not told" in last_event(post)[1]
