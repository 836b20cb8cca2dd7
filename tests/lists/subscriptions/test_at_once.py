"""What holds when many ask at the same time, each on its own connection."""

from __future__ import annotations

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from lists.bounces.actions import take_report
from lists.bounces.counting import count_fresh
from lists.models import Bounce, Request, Subscription
from lists.subscriptions import limits
from lists.subscriptions.actions import LastOwner, leave
from lists.subscriptions.asking import ask_to_join, confirm
from tests.at_once import THREADS, at_once
from tests.lists.bounces.ledger import make_delivery
from tests.lists.bounces.mails import UNKNOWN_USER
from tests.lists.posts import NICK, SAM, make_list, store, subscribe

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_limit_holds_for_those_who_ask_at_once() -> None:
    lists = [make_list(f"talk{number}") for number in range(THREADS)]
    at_once(lambda number: ask_to_join(lists[number], NICK))
    assert len(mail.outbox) == limits.PER_ADDRESS == Request.objects.count()


def test_answers_at_once_make_one_member_and_one_welcome() -> None:
    ask_to_join(make_list(), NICK)
    mail.outbox.clear()
    requests = [Request.objects.get() for _ in range(THREADS)]
    assert all(at_once(lambda number: confirm(requests[number])))
    assert Subscription.objects.count() == 1
    assert len(mail.outbox) == 1


def test_a_report_that_comes_at_once_by_several_ways_counts_once(
    settings: Settings,
) -> None:
    settings.BOUNCE_WAIT_MINUTES = 0
    delivery = make_delivery(subscribe(make_list(), SAM))
    mails = [store(UNKNOWN_USER, reverse_path="") for _ in range(THREADS)]
    at_once(lambda number: take_report(delivery.pk, *mails[number]))
    assert Bounce.objects.count() == 1
    assert sum(at_once(lambda number: count_fresh())) == 1
    assert Subscription.objects.get().bounce_score == 2


def test_owners_who_leave_at_once_leave_one_behind() -> None:
    mlist = make_list()
    rows = [
        subscribe(mlist, f"o{number}@people.test", role=Subscription.Role.OWNER)
        for number in range(THREADS)
    ]

    def go(number: int) -> bool:
        try:
            leave(rows[number])
        except LastOwner:
            return False
        return True

    assert at_once(go).count(False) == 1
    assert Subscription.objects.owners().count() == 1
