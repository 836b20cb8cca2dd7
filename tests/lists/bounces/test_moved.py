"""A member's server says 251 or 551 (RFC 5321 3.4): what the owner sees of it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from lists.bounces import actions
from lists.bounces.counting import count_fresh
from lists.delivery.actions import fan_out
from lists.models import Bounce, MailingList, Post, Subscription
from smtpd.models import Delivery
from tests.aliases.makers import OLGA, SAM, make_domain, make_list, send
from tests.lists.bounces.ledger import make_delivery
from tests.people import signed_in
from tests.sink import Script, Sink
from tests.smtpd.sending import run, working

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "sam@new.test"
SAID = f"User not local; please try <{NEW}>"


@pytest.fixture
def talk() -> MailingList:
    make_domain()
    return make_list("talk@lists.test", SAM, posters="anyone")


@pytest.fixture
def sam(talk: MailingList) -> Subscription:
    return talk.subscriptions.get(subscriber__folded=SAM)


def page_of(member: Subscription) -> str:
    path = f"/lists/talk@lists.test/members/{member.pk}/"
    return signed_in(OLGA).get(path).content.decode()


def test_251_is_sent_and_551_is_shown_to_the_owner(
    talk: MailingList, sam: Subscription
) -> None:
    assert send("talk@lists.test").is_positive
    fan_out(Post.objects.get().pk)
    script = Script(
        rcpt={OLGA: "251 2.1.5 will forward to <o@new.test>", SAM: f"551 5.1.6 {SAID}"}
    )
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
    states = Delivery.objects.filter(ref__isnull=False).values_list("address", "state")
    assert dict(states) == {OLGA: "sent", SAM: "failed"}
    bounce = Bounce.objects.get()
    assert (bounce.kind, bounce.code, bounce.moved_to) == ("hard", "551 5.1.6", NEW)
    page = page_of(sam)
    assert f'has moved to <strong class="address">{NEW}</strong>' in page
    assert f"members/add/?address={quote(NEW)}" in page
    sam.refresh_from_db()
    assert sam.subscriber.address == SAM, "never by itself"
    assert talk.subscriptions.count() == 2
    assert "has moved to" not in page_of(talk.subscriptions.get(role="owner"))


def test_the_new_address_is_put_into_the_form(talk: MailingList) -> None:
    path = "/lists/talk@lists.test/members/add/"
    form = signed_in(OLGA).get(path, {"address": NEW}).content.decode()
    assert f'value="{NEW}"' in form
    assert not talk.subscriptions.filter(subscriber__folded=NEW).exists()


def test_a_later_bounce_without_it_takes_the_note_away(sam: Subscription) -> None:
    failed = {"state": Delivery.State.FAILED, "code": 551, "text": SAID}
    actions.record_failures([make_delivery(sam, **failed).pk])
    assert "Nothing is changed by itself" in page_of(sam)
    gone = failed | {"code": 550, "text": "no such user"}
    actions.record_failures([make_delivery(sam, **gone).pk])
    page = page_of(sam)
    assert "Nothing is changed by itself" not in page
    assert NEW in page, "in the list of bounces"


def test_the_owners_mail_says_so(
    talk: MailingList, sam: Subscription, settings: Settings
) -> None:
    settings.BOUNCE_WAIT_MINUTES = 0
    MailingList.objects.update(bounce_limit=1)
    failed = {"state": Delivery.State.FAILED, "code": 551, "text": SAID}
    actions.record_failures([make_delivery(sam, **failed).pk])
    count_fresh()
    [body] = [str(m.body) for m in mail.outbox if m.to == [OLGA]]
    assert f"the person has moved to\n\n    {NEW}\n" in body


def test_what_a_stranger_writes_stays_text(sam: Subscription) -> None:
    words = "try <script@x.test> or <b>x</b>@new.test <javascript:alert(1)@x>"
    row = make_delivery(sam, state=Delivery.State.FAILED, code=551, text=words)
    actions.record_failures([row.pk])
    page = page_of(sam)
    assert "<b>x" not in page
    assert Bounce.objects.get().moved_to == "script@x.test"
