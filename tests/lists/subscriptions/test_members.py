"""Joining, leaving, pausing, roles."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import ValidationError

from lists.models import Subscriber, Subscription
from lists.subscriptions.actions import (
    LastOwner,
    join,
    leave,
    link_user,
    pause,
    resume,
    set_mode,
    set_role,
    unsubscribe,
)
from smtpd import tokens
from smtpd.tokens import Purpose
from tests.lists.posts import NICK, OLGA, SAM, make_list, subscribe

pytestmark = pytest.mark.django_db
User: Any = get_user_model()
SuspendedBy = Subscription.SuspendedBy


def test_joining_twice_makes_one_member() -> None:
    mlist = make_list()
    first, is_new = join(mlist, NICK, name="Nick  A\n")
    second, is_new_again = join(mlist, NICK.upper())
    assert (is_new, is_new_again) == (True, False)
    assert first == second
    assert first.subscriber.name == "Nick A"
    assert not mail.outbox


def test_a_member_can_be_raised_but_not_lowered_by_joining() -> None:
    mlist = make_list()
    join(mlist, NICK, role=Subscription.Role.OWNER)
    subscription, _ = join(mlist, NICK)
    assert subscription.role == Subscription.Role.OWNER


def test_a_welcome_says_how_to_leave() -> None:
    subscription, _ = join(make_list(), NICK, welcome=True)
    [welcome] = mail.outbox
    assert tokens.make(Purpose.UNSUBSCRIBE, subscription.pk) in welcome.body


def test_a_list_cannot_be_on_itself() -> None:
    with pytest.raises(ValidationError):
        join(make_list(), "Talk@lists.test")


def test_one_click_leaves_at_once_and_again() -> None:
    subscription = subscribe(make_list(), SAM)
    token = tokens.make(Purpose.UNSUBSCRIBE, subscription.pk)
    assert unsubscribe(token.upper())
    assert not Subscription.objects.exists()
    assert unsubscribe(token)
    assert not mail.outbox


def test_a_forged_token_or_one_for_another_purpose_removes_nobody() -> None:
    subscription = subscribe(make_list(), SAM)
    for token in ("", "x" * 29, tokens.make(Purpose.RESUME, subscription.pk)):
        assert not unsubscribe(token)
    assert Subscription.objects.exists()


def test_resuming_forgets_bounces() -> None:
    subscription = subscribe(make_list(), SAM, bounce_score=9)
    pause(subscription, SuspendedBy.MEMBER)
    assert not Subscription.objects.receiving().exists()
    assert resume(subscription)
    subscription = Subscription.objects.receiving().get()
    assert (subscription.bounce_score, subscription.suspended_at) == (0, None)


def test_only_an_owner_resumes_what_an_owner_stopped() -> None:
    subscription = subscribe(make_list(), SAM)
    pause(subscription, SuspendedBy.OWNER)
    pause(subscription, SuspendedBy.MEMBER)
    assert not resume(subscription)
    assert not Subscription.objects.receiving().exists()
    assert resume(subscription, SuspendedBy.OWNER)


def test_no_mail_is_a_mode() -> None:
    subscription = subscribe(make_list(), SAM)
    set_mode(subscription, "none")
    assert not Subscription.objects.receiving().exists()
    with pytest.raises(ValueError, match="often"):
        set_mode(subscription, "often")


def test_the_last_owner_stays_one() -> None:
    mlist = make_list()
    olga = subscribe(mlist, OLGA, role=Subscription.Role.OWNER)
    sam = subscribe(mlist, SAM)
    with pytest.raises(LastOwner):
        set_role(olga, Subscription.Role.MEMBER)
    set_role(sam, Subscription.Role.OWNER)
    set_role(olga, Subscription.Role.MEMBER)
    assert Subscription.objects.owners().get() == sam


def test_signing_in_claims_only_verified_addresses() -> None:
    mlist = make_list()
    for address in (SAM, NICK, OLGA):
        subscribe(mlist, address)
    user = User.objects.create_user(OLGA)
    EmailAddress.objects.create(user=user, email=SAM.title(), verified=True)
    EmailAddress.objects.create(user=user, email=NICK, verified=False)
    assert link_user(user) == 1
    assert link_user(user) == 0
    assert Subscriber.objects.get(user=user).folded == SAM


def test_an_account_made_by_an_operator_has_its_address() -> None:
    subscribe(make_list(), OLGA)
    assert link_user(User.objects.create_user(OLGA)) == 1


def test_the_last_owner_does_not_leave_silently() -> None:
    mlist = make_list()
    olga = subscribe(mlist, OLGA, role=Subscription.Role.OWNER)
    sam = subscribe(mlist, SAM, role=Subscription.Role.MODERATOR)
    with pytest.raises(LastOwner, match="Make somebody else an owner first"):
        leave(olga)
    leave(sam)
    subscribe(mlist, NICK, role=Subscription.Role.OWNER)
    leave(olga)
    assert Subscription.objects.get().subscriber.folded == NICK


def test_one_click_of_the_last_owner_hands_the_list_over() -> None:
    mlist = make_list()
    mlist.address.domain.admins.add(User.objects.create_user("ada@people.test"))
    for address in (OLGA, NICK):
        subscribe(mlist, address, role=Subscription.Role.OWNER)
    for row in Subscription.objects.order_by("pk"):
        assert unsubscribe(tokens.make(Purpose.UNSUBSCRIBE, row.pk))
    assert not Subscription.objects.exists()
    [told] = mail.outbox
    assert told.to == ["ada@people.test"]
    assert NICK in told.body
    assert "owner" in told.subject
