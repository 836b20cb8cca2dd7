"""Whoever fails with many others is not counted until a person has looked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from lists.bounces.actions import record_failures
from lists.bounces.counting import confirm, count_fresh, forgive
from lists.models import Bounce, MailingList, Post, Subscription, Wave
from lists.models.wave import UNDECIDED_FOR
from project.models import User
from smtpd.models import Delivery, Message, Outgoing
from tests.at_once import at_once
from tests.lists.bounces.ledger import make_delivery
from tests.lists.posts import OLGA, make_list, subscribe
from tests.people import signed_in

pytestmark = pytest.mark.django_db
State, Standing = Delivery.State, Bounce.Standing


@pytest.fixture
def talk() -> MailingList:
    mlist = make_list(bounce_limit=1)
    subscribe(mlist, OLGA, role=Subscription.Role.OWNER)
    return mlist


def make_post(mlist: MailingList, recipients: int, subject: str = "tea") -> Post:
    message = Message.objects.create(
        size=0, sha256="", body_at=0, raw=b"", subject=subject
    )
    outgoing = Outgoing.objects.create(
        message=message,
        lane=Outgoing.Lane.BULK,
        envelope=Outgoing.Envelope.VERP,
        reverse_path="lists.test",
        head=b"",
    )
    return Post.objects.create(
        mailing_list=mlist,
        message=message,
        state=Post.State.ACCEPTED,
        msg_id=subject,
        subject=subject,
        outgoing=outgoing,
        recipients=recipients,
    )


def fail(
    mlist: MailingList,
    count: int,
    *,
    post: Post | None = None,
    at: str = "",
    **said: object,
) -> None:
    """Copies for that many people fail: of one post, or of one each; at a domain."""
    refused = {
        "state": State.FAILED,
        "code": 550,
        "enhanced": "5.1.1",
        "text": "no such user",
        "failure": "unknown",
        **said,
    }
    where = {"outgoing": post.outgoing} if post else {}
    people = [
        subscribe(mlist, f"p{number}@{at or f'd{number}.test'}")
        for number in range(count)
    ]
    record_failures([make_delivery(one, **refused, **where).pk for one in people])


def later(minutes: int = 61) -> None:
    """Let time pass for what was noted so far, and look."""
    for bounce in Bounce.objects.all():
        at = bounce.at - timedelta(minutes=minutes)
        Bounce.objects.filter(pk=bounce.pk).update(at=at)
    while count_fresh():
        pass


def standings() -> dict[str, int]:
    found: dict[str, int] = {}
    for standing in Bounce.objects.values_list("standing", flat=True):
        found[standing] = found.get(standing, 0) + 1
    return found


def counted() -> int:
    return Subscription.objects.filter(bounce_score__gt=0).count()


def suspended() -> int:
    return Subscription.objects.exclude(suspended_by="").count()


def test_who_fails_alone_is_counted_an_hour_later(talk: MailingList) -> None:
    fail(talk, 10, post=make_post(talk, 40))
    count_fresh()
    assert (standings(), counted()) == ({"fresh": 10}, 0)
    later()
    assert (standings(), counted(), suspended()) == ({"counted": 10}, 10, 10)
    assert not Wave.objects.exists()


def test_a_post_that_many_refuse_counts_against_nobody(talk: MailingList) -> None:
    fail(talk, 11, post=make_post(talk, 40))
    later()
    assert (standings(), counted(), suspended()) == ({"held": 11}, 0, 0)
    wave = Wave.objects.get()
    assert (wave.failed, wave.total, wave.post_id is None) == (11, 40, False)
    (told,) = mail.outbox
    assert told.to == [OLGA]
    assert "11 of the 40 copies" in told.body
    assert f"/waves/{wave.pk}/" in told.body


def test_owners_are_told_once_and_who_comes_later_is_held_too(
    talk: MailingList,
) -> None:
    post = make_post(talk, 40)
    fail(talk, 11, post=post)
    count_fresh()
    late = subscribe(talk, "late@people.test")
    refused = make_delivery(
        late, outgoing=post.outgoing, state=State.FAILED, code=550, failure="unknown"
    )
    record_failures([refused.pk])
    later()
    assert (standings(), len(mail.outbox)) == ({"held": 12}, 1)
    assert Wave.objects.get().failed == 12


def test_a_large_list_loses_a_few_without_a_wave(talk: MailingList) -> None:
    fail(talk, 20, post=make_post(talk, 100))
    later()
    assert (standings(), counted()) == ({"counted": 20}, 20)


def test_a_domain_that_refuses_everybody_counts_against_nobody(
    talk: MailingList,
) -> None:
    """550 5.1.1 for an hour, to copies of many posts and lists."""
    User.objects.create_superuser("root@x.test")
    other = make_list("other", bounce_limit=1)
    fail(talk, 15, at="big.test")
    fail(other, 15, at="big.test")
    fail(talk, 3, at="small.test")
    later()
    assert standings() == {"held": 30, "counted": 3}
    assert (counted(), suspended()) == (3, 3)
    wave = Wave.objects.get()
    assert (wave.domain, wave.failed, wave.total) == ("big.test", 15, 15)
    (told,) = [each for each in mail.outbox if each.to == ["root@x.test"]]
    assert "15 of the 15 people" in told.body
    assert "big.test" in told.subject


def test_a_large_domain_loses_a_few_without_a_wave(talk: MailingList) -> None:
    for number in range(60):
        subscribe(talk, f"fine{number}@big.test")
    fail(talk, 14, at="big.test")
    later()
    assert (standings(), Wave.objects.count()) == ({"counted": 14}, 0)


def test_failures_that_are_no_members_fault_make_no_wave(talk: MailingList) -> None:
    fail(
        talk, 30, post=make_post(talk, 40), code=554, enhanced="5.7.1", failure="policy"
    )
    later()
    assert (standings(), Wave.objects.count()) == ({"free": 30}, 0)


def test_forgiven_it_is_counted_never(talk: MailingList) -> None:
    fail(talk, 11, post=make_post(talk, 40))
    count_fresh()
    wave = Wave.objects.get()
    assert forgive(wave)
    assert not confirm(wave)
    later()
    assert (standings(), counted()) == ({"forgiven": 11}, 0)


def test_confirmed_everybody_is_counted(talk: MailingList) -> None:
    fail(talk, 11, post=make_post(talk, 40))
    count_fresh()
    wave = Wave.objects.get()
    assert confirm(wave)
    assert not forgive(wave)
    later()
    assert (standings(), counted(), suspended()) == ({"counted": 11}, 11, 11)
    assert Wave.objects.count() == 1, "counting it made another wave"


def test_nobody_decides_for_a_week_and_it_is_forgiven(talk: MailingList) -> None:
    fail(talk, 11, post=make_post(talk, 40))
    count_fresh()
    Wave.objects.update(opened_at=timezone.now() - UNDECIDED_FOR - timedelta(hours=1))
    later()
    assert (standings(), counted()) == ({"forgiven": 11}, 0)
    assert Wave.objects.get().decision == "forgiven"


def test_complaints_wait_for_nobody(talk: MailingList) -> None:
    """A member who presses "spam" has decided alone."""
    fail(talk, 11, post=make_post(talk, 40))
    count_fresh()
    assert not Bounce.objects.filter(kind="complaint").exists()


# --- pages


@pytest.fixture
def wave(talk: MailingList) -> Wave:
    fail(talk, 11, post=make_post(talk, 40))
    count_fresh()
    return Wave.objects.get()


def test_owners_see_and_decide(wave: Wave) -> None:
    olga = signed_in(OLGA)
    assert "11 of 40 copies of “tea”" in olga.get("/waves/").content.decode()
    assert "/waves/" in olga.get("/").content.decode()
    assert "/waves/" in olga.get("/lists/talk@lists.test/members/").content.decode()
    page = olga.get(f"/waves/{wave.pk}/").content.decode()
    assert "There is no such mailbox: 11" in page
    assert "p3@d3.test" in page
    olga.post(f"/waves/{wave.pk}/decide/", {"do": "forgive"})
    assert standings() == {"forgiven": 11}
    after = olga.get(f"/waves/{wave.pk}/").content.decode()
    assert "Forgiven" in after
    assert "olga@people.test" in after
    again = olga.post(f"/waves/{wave.pk}/decide/", {"do": "count"}, follow=True)
    assert "Somebody has decided already" in again.content.decode()
    assert standings() == {"forgiven": 11}


def test_a_wave_outlives_its_members(wave: Wave) -> None:
    Subscription.objects.exclude(role=Subscription.Role.OWNER).delete()
    page = signed_in(OLGA).get(f"/waves/{wave.pk}/").content.decode()
    assert "None of them is a member any more" in page
    assert "<table" not in page


def test_counting_is_a_button_too(wave: Wave) -> None:
    signed_in(OLGA).post(f"/waves/{wave.pk}/decide/", {"do": "count"})
    later()
    assert counted() == 11


def test_others_do_not_see_it(wave: Wave) -> None:
    nick = signed_in("nick@elsewhere.test")
    assert nick.get(f"/waves/{wave.pk}/").status_code == 404
    assert nick.post(f"/waves/{wave.pk}/decide/", {"do": "count"}).status_code == 404
    assert "11 of 40" not in nick.get("/waves/").content.decode()
    assert Client().get("/waves/").status_code == 302


def test_a_domain_is_for_whoever_runs_the_site(talk: MailingList) -> None:
    fail(talk, 11, at="big.test")
    count_fresh()
    number = Wave.objects.get().pk
    assert signed_in(OLGA).get(f"/waves/{number}/").status_code == 404
    root = signed_in("root@x.test", admin=True)
    assert "11 of 11 people at big.test" in root.get("/waves/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_many_who_look_at_once_tell_people_once(talk: MailingList) -> None:
    fail(talk, 11, post=make_post(talk, 40))
    at_once(lambda number: count_fresh())
    assert (standings(), Wave.objects.count()) == ({"held": 11}, 1)
    assert [each.to for each in mail.outbox] == [[OLGA]]
