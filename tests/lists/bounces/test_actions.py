"""From a returned mail to a subscription that pauses, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from lists.bounces import actions
from lists.bounces.actions import take_report
from lists.bounces.counting import count_fresh
from lists.models import Bounce, MailingList, Subscription
from lists.subscriptions.actions import resume
from smtpd import tokens
from smtpd.models import Delivery, Event
from smtpd.tokens import Purpose
from tests.lists.bounces.ledger import make_delivery
from tests.lists.bounces.mails import UNKNOWN_USER, VACATION, arf, block, dsn
from tests.lists.posts import OLGA, SAM, make_list, store, subscribe

pytestmark = pytest.mark.django_db
SuspendedBy = Subscription.SuspendedBy


@pytest.fixture(autouse=True)
def _at_once(settings: Settings) -> None:
    """Nobody waits for the others here, and there are no waves."""
    settings.BOUNCE_WAIT_MINUTES = 0
    settings.BOUNCE_WAVE_COPIES = 1000


@pytest.fixture
def sam() -> Subscription:
    mlist = make_list()
    subscribe(mlist, OLGA, role=Subscription.Role.OWNER)
    return subscribe(mlist, SAM)


def come_back(delivery: Delivery, raw: bytes) -> None:
    message, facts = store(raw, reverse_path="")
    take_report(delivery.pk, message, facts)
    count_fresh()


def record_failures(delivery_ids: list[int]) -> None:
    actions.record_failures(delivery_ids)
    count_fresh()


def yesterday(subscription: Subscription) -> None:
    """Let a day pass for what was counted so far."""
    subscription.refresh_from_db()
    assert subscription.last_bounce_on
    subscription.last_bounce_on -= timedelta(days=1)
    subscription.save()


def test_a_report_counts_and_is_in_the_trace(sam: Subscription) -> None:
    delivery = make_delivery(sam)
    come_back(delivery, UNKNOWN_USER)
    sam.refresh_from_db()
    assert sam.bounce_score == 2
    bounce = Bounce.objects.get(delivery=delivery)
    assert (bounce.kind, bounce.code) == ("hard", "550 5.1.1")
    assert bounce.why == "There is no such mailbox"
    event = Event.objects.get(message=delivery.outgoing.message)
    assert event.kind == "bounced"
    assert SAM in event.text
    assert "user unknown" in event.text
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.SENT


def test_the_same_report_three_times_counts_once(sam: Subscription) -> None:
    delivery = make_delivery(sam)
    for _ in range(3):
        come_back(delivery, UNKNOWN_USER)
        Subscription.objects.update(last_bounce_on=None)
    sam.refresh_from_db()
    assert (sam.bounce_score, Bounce.objects.count()) == (2, 1)


def test_two_messages_on_one_day_count_once(sam: Subscription) -> None:
    come_back(make_delivery(sam), UNKNOWN_USER)
    come_back(make_delivery(sam), UNKNOWN_USER)
    sam.refresh_from_db()
    assert (sam.bounce_score, Bounce.objects.count()) == (2, 2)


def test_five_days_of_hard_bounces_suspend_and_never_delete(sam: Subscription) -> None:
    for day in range(5):
        assert not mail.outbox, day
        come_back(make_delivery(sam), UNKNOWN_USER)
        yesterday(sam)
    sam.refresh_from_db()
    assert (sam.suspended_by, sam.bounce_score) == (SuspendedBy.BOUNCES, 10)
    to_sam, to_olga = mail.outbox
    assert to_sam.to == [SAM]
    assert f"/resume/{tokens.make(Purpose.RESUME, sam.pk)}" in to_sam.body
    assert "user unknown" in to_sam.body
    assert to_olga.to == [OLGA]
    assert "550 5.1.1" in to_olga.body
    assert "user unknown" in to_olga.body
    # Mail that was on its way comes back too: nobody is told again.
    come_back(make_delivery(sam), UNKNOWN_USER)
    assert len(mail.outbox) == 2
    sam.refresh_from_db()
    assert resume(sam)
    sam.refresh_from_db()
    assert (sam.suspended_by, sam.bounce_score) == ("", 0)


def test_soft_bounces_take_twice_as_long(sam: Subscription) -> None:
    for _ in range(9):
        come_back(make_delivery(sam), dsn(block(status="5.2.2")))
        yesterday(sam)
    assert sam.suspended_by == ""
    come_back(make_delivery(sam), dsn(block(status="5.2.2")))
    sam.refresh_from_db()
    assert sam.suspended_by == SuspendedBy.BOUNCES


def test_a_quiet_week_starts_from_zero(sam: Subscription) -> None:
    week_ago = timezone.localdate() - timedelta(days=8)
    Subscription.objects.filter(pk=sam.pk).update(
        bounce_score=9, last_bounce_on=week_ago
    )
    come_back(make_delivery(sam), UNKNOWN_USER)
    sam.refresh_from_db()
    assert (sam.bounce_score, sam.suspended_by) == (2, "")


def test_a_limit_of_zero_never_suspends(sam: Subscription) -> None:
    MailingList.objects.update(bounce_limit=0)
    Subscription.objects.update(bounce_score=100)
    come_back(make_delivery(sam), UNKNOWN_USER)
    sam.refresh_from_db()
    assert sam.suspended_by == ""


@pytest.mark.parametrize(
    "diagnostic",
    [
        "550 5.7.26 DMARC policy",
        "554 5.7.1 blocked using zen.spamhaus.org",
        "552 5.3.4 message too big",
    ],
)
def test_policy_refusals_never_count(sam: Subscription, diagnostic: str) -> None:
    MailingList.objects.update(bounce_limit=1)
    come_back(make_delivery(sam), dsn(block(status="5.0.0", diagnostic=diagnostic)))
    sam.refresh_from_db()
    assert (sam.bounce_score, sam.suspended_by) == (0, "")
    assert Bounce.objects.get().kind == Bounce.Kind.POLICY


def test_a_vacation_notice_counts_nothing_and_hides_nothing(sam: Subscription) -> None:
    delivery = make_delivery(sam)
    come_back(delivery, VACATION)
    sam.refresh_from_db()
    assert sam.bounce_score == 0
    assert Bounce.objects.get().kind == Bounce.Kind.UNKNOWN
    assert not Event.objects.filter(kind="bounced").exists()
    come_back(delivery, UNKNOWN_USER)
    come_back(delivery, VACATION)
    sam.refresh_from_db()
    assert sam.bounce_score == 2
    assert Bounce.objects.get().kind == Bounce.Kind.HARD


def test_a_delay_is_no_bounce(sam: Subscription) -> None:
    come_back(make_delivery(sam), dsn(block("delayed", "4.4.1")))
    assert not Bounce.objects.exists()


def test_a_complaint_suspends_at_once_and_only_owners_hear(sam: Subscription) -> None:
    come_back(make_delivery(sam), arf())
    sam.refresh_from_db()
    assert sam.suspended_by == SuspendedBy.BOUNCES
    assert [message.to for message in mail.outbox] == [[OLGA]]
    assert "spam" in mail.outbox[0].body


def test_a_pause_of_their_own_stays_theirs(sam: Subscription) -> None:
    Subscription.objects.filter(pk=sam.pk).update(suspended_by=SuspendedBy.MEMBER)
    come_back(make_delivery(sam), arf())
    sam.refresh_from_db()
    assert sam.suspended_by == SuspendedBy.MEMBER
    assert not mail.outbox


def test_refusals_while_sending_count_the_same(sam: Subscription) -> None:
    refused = make_delivery(
        sam,
        state=Delivery.State.FAILED,
        code=550,
        enhanced="5.1.1",
        text="no such user",
    )
    sent = make_delivery(sam)
    record_failures([refused.pk, sent.pk, 4711])
    record_failures([refused.pk])
    come_back(refused, UNKNOWN_USER)
    sam.refresh_from_db()
    assert (sam.bounce_score, Bounce.objects.count()) == (2, 1)
    assert Bounce.objects.get().text == "no such user"


def test_a_refusal_outweighs_the_vacation_notice_before_it(sam: Subscription) -> None:
    delivery = make_delivery(sam)
    come_back(delivery, VACATION)
    assert Bounce.objects.get().kind == Bounce.Kind.UNKNOWN
    Delivery.objects.update(state=Delivery.State.FAILED, code=550, enhanced="5.1.1")
    record_failures([delivery.pk])
    assert Bounce.objects.get().kind == Bounce.Kind.HARD
    sam.refresh_from_db()
    assert sam.bounce_score == 2


def test_fifty_failures_cost_no_more_statements_than_two(sam: Subscription) -> None:
    refused: dict[str, Any] = {"state": Delivery.State.FAILED, "code": 550}
    people = [sam]
    people += [subscribe(sam.mailing_list, f"p{n}@gone.test") for n in range(49)]
    rows = [make_delivery(one, **refused).pk for one in people]
    counted = []
    for ids in (rows[:2], rows[2:]):
        with CaptureQueriesContext(connection) as queries:
            actions.record_failures(ids)
        counted.append(len(queries))
    assert Bounce.objects.count() == len(rows)
    assert counted[1] <= counted[0]


def test_what_was_given_up_without_a_word_is_soft(sam: Subscription) -> None:
    gone = make_delivery(sam, state=Delivery.State.FAILED, destination="people.test")
    record_failures([gone.pk])
    assert Bounce.objects.get().kind == Bounce.Kind.SOFT


def test_a_relay_that_was_away_for_days_is_no_members_fault(sam: Subscription) -> None:
    record_failures([make_delivery(sam, state=Delivery.State.FAILED).pk])
    bounce = Bounce.objects.get()
    assert (bounce.kind, bounce.failure) == (Bounce.Kind.POLICY, "network")
    sam.refresh_from_db()
    assert sam.bounce_score == 0


def test_who_is_gone_has_no_bounces(sam: Subscription) -> None:
    delivery = make_delivery(sam, state=Delivery.State.FAILED, code=550)
    alias_copy = make_delivery(sam, ref=None, state=Delivery.State.FAILED, code=550)
    sam.delete()
    record_failures([delivery.pk, alias_copy.pk])
    come_back(delivery, UNKNOWN_USER)
    come_back(alias_copy, UNKNOWN_USER)
    message, facts = store(UNKNOWN_USER)
    take_report(4711, message, facts)
    assert not Bounce.objects.exists()


def test_one_dead_provider_is_not_a_flood_for_owners(sam: Subscription) -> None:
    mlist = sam.mailing_list
    MailingList.objects.update(bounce_limit=1)
    ids = [
        make_delivery(
            subscribe(mlist, f"p{number}@gone.test"),
            state=Delivery.State.FAILED,
            code=550,
            enhanced="5.1.2",
        ).pk
        for number in range(actions.REPORTS_A_DAY + 5)
    ]
    record_failures(ids)
    to_olga = [message for message in mail.outbox if message.to == [OLGA]]
    assert len(to_olga) == actions.REPORTS_A_DAY
    suspended = Subscription.objects.filter(suspended_by=SuspendedBy.BOUNCES)
    assert suspended.count() == len(ids)
