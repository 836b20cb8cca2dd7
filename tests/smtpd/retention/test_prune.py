"""What goes when it is over and old, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from aliases import actions as aliases
from lists.models import Bounce, Post
from smtpd import traces
from smtpd.models import Copy, Delivery, Event, Message, Outgoing, Report
from smtpd.retention import actions
from smtpd.retention.tasks import prune
from tests.aliases.makers import OLGA, SAM, make_domain, send
from tests.at_once import at_once
from tests.lists.posts import make_list, make_mail, make_people, post_to

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keep(settings: Any) -> Iterator[None]:
    settings.KEEP_DAYS = 30
    yield
    cache.delete("retention:message")


def grow_old(days: int = 31) -> None:
    """As if everything had happened so long ago."""
    past = timezone.now() - timedelta(days=days)
    Message.objects.update(received_at=past)
    Outgoing.objects.update(created_at=past)
    Delivery.objects.update(updated_at=past)


@pytest.fixture
def mail() -> Message:
    """To an alias of two, who both have it."""
    make_domain()
    aliases.create("team@lists.test", [SAM, OLGA])
    assert send("team@lists.test").is_positive
    Delivery.objects.update(state="sent")
    return Message.objects.get()


@pytest.fixture
def accepted() -> Post:
    """A post that two people have and one could not get."""
    mlist = make_list()
    make_people(mlist)
    found = post_to(mlist, make_mail())
    outgoing = Outgoing.objects.create(
        message=found.message, lane=1, envelope="verp", head=b"A: b\r\n", body=b"hello"
    )
    Post.objects.filter(pk=found.pk).update(outgoing=outgoing, state="accepted")
    now = timezone.now()
    for name, state in (("a", "sent"), ("b", "sent"), ("c", "failed")):
        Delivery.objects.create(
            outgoing=outgoing, address=f"{name}@x.test", destination="relay",
            lane=1, state=state, next_attempt_at=now, updated_at=now,
        )  # fmt: skip
    return Post.objects.get(pk=found.pk)


def test_old_mail_that_arrived_goes_with_all_it_left(mail: Message) -> None:
    grow_old()
    prune()
    assert not Message.objects.exists()
    assert not Outgoing.objects.exists()
    assert not Delivery.objects.exists()
    assert not Event.objects.exists()


def test_what_is_younger_stays(mail: Message) -> None:
    grow_old(29)
    prune()
    assert Delivery.objects.count() == 2
    assert Message.objects.count() == 1


def test_zero_keeps_everything(mail: Message, settings: Any) -> None:
    settings.KEEP_DAYS = 0
    grow_old(5000)
    prune()
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("state", ["queued", "held", "quarantined"])
def test_one_row_that_is_not_at_its_end_keeps_all(mail: Message, state: str) -> None:
    grow_old()
    Delivery.objects.filter(address=SAM).update(state=state)
    prune()
    assert Delivery.objects.count() == 2
    assert bytes(Outgoing.objects.get().head)
    assert Message.objects.get().raw


def test_a_row_that_changed_lately_rests_first(mail: Message) -> None:
    grow_old()
    Delivery.objects.filter(address=SAM).update(updated_at=timezone.now())
    prune()
    assert Delivery.objects.count() == 2


def test_a_report_that_is_owed_keeps_the_message(mail: Message) -> None:
    grow_old()
    delivery = Delivery.objects.first()
    report = Report.objects.create(
        message=mail, address="team@lists.test", action="relayed", delivery=delivery
    )
    prune()
    assert Delivery.objects.count() == 2
    Report.objects.filter(pk=report.pk).update(settled_at=timezone.now())
    prune()
    assert not Message.objects.exists()


def test_a_post_keeps_its_message_and_how_many_got_it(accepted: Post) -> None:
    first = timezone.now() - timedelta(days=40)
    grow_old()
    Delivery.objects.filter(address="a@x.test").update(updated_at=first)
    prune()
    assert not Delivery.objects.exists()
    outgoing = Outgoing.objects.get()
    assert outgoing.pruned == {"sent": 2, "failed": 1}
    assert outgoing.first_sent_at == first
    assert outgoing.last_sent_at is not None
    assert first < outgoing.last_sent_at < timezone.now() - timedelta(days=30)
    assert (bytes(outgoing.head), outgoing.body) == (b"", None)
    message = Message.objects.get()
    assert bytes(message.raw) == make_mail()
    trace = traces.read_trace(message)
    assert trace.states == {"sent": 2, "failed": 1}
    assert "2 sent, 1 failed" in trace.timeline[-1].text


def test_a_bounce_outlives_its_row(accepted: Post) -> None:
    member = accepted.mailing_list.subscriptions.first()
    assert member is not None
    row = Delivery.objects.get(state="failed")
    Bounce.objects.create(subscription=member, delivery=row, kind="hard")
    grow_old()
    prune()
    assert Bounce.objects.get().delivery is None


def test_rows_that_are_gone_are_counted_once_by_many_batches(
    accepted: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_MOST", 1)
    monkeypatch.setattr(actions, "_BATCH", {})
    grow_old()
    prune()
    assert Outgoing.objects.get().pruned == {"sent": 2, "failed": 1}
    assert not Delivery.objects.exists()


def test_a_run_ends_in_time_and_the_next_goes_on(
    accepted: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow_old()
    assert actions.prune(0.0)
    assert Delivery.objects.count() == 3
    assert not actions.prune()
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(("state", "stays"), [("held", 1), ("rejected", 0)])
def test_a_post_stays_while_somebody_may_see_it(
    accepted: Post, state: str, stays: int
) -> None:
    Delivery.objects.all().delete()
    Post.objects.update(state=state, outgoing=None)
    grow_old()
    prune()
    assert Message.objects.count() == Post.objects.count() == stays


def test_messages_that_stay_are_passed_over(
    accepted: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk goes on behind them, and begins anew at the end."""
    monkeypatch.setattr(actions, "_WALK", 1)
    message = accepted.message
    for number in range(3):
        message.pk, message.key = None, f"key{number}"
        message.save()
    grow_old()
    prune()
    assert list(Message.objects.values_list("pk", flat=True)) == [accepted.message_id]


def test_caught_copies_go_too() -> None:
    for _ in range(2):
        Copy.objects.create(forward_path=SAM, size=1, raw=b"x")
    old = Copy.objects.earliest("pk")
    Copy.objects.filter(pk=old.pk).update(
        received_at=timezone.now() - timedelta(days=31)
    )
    prune()
    assert Copy.objects.count() == 1
    assert not Copy.objects.filter(pk=old.pk).exists()


def test_the_posts_page_counts_rows_that_are_gone(
    accepted: Post, client: Client, admin_user: Any
) -> None:
    client.force_login(admin_user)
    page = f"/lists/{accepted.mailing_list.posting_address}/posts/"
    before = client.get(page).content
    assert b"2 of 3 sent, 1 failed" in b" ".join(before.split())
    grow_old()
    prune()
    after = client.get(page).content
    assert b"2 of 3 sent, 1 failed" in b" ".join(after.split())


@pytest.mark.django_db(transaction=True)
def test_many_at_once_count_each_row_once(
    accepted: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_MOST", 1)
    monkeypatch.setattr(actions, "_BATCH", {})
    grow_old()
    at_once(lambda _: actions.prune())
    prune()
    assert Outgoing.objects.get().pruned == {"sent": 2, "failed": 1}
    assert not Delivery.objects.exists()
