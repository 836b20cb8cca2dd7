"""Who may see and do what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from lists.access import (
    Role,
    list_for_moderator,
    list_for_owner,
    list_for_reader,
    lists_with_role,
    role_on,
    subscriptions_of,
)
from lists.models import MailingList, Subscriber
from tests.lists.posts import MORI, NICK, OLGA, SAM, make_list, make_people

pytestmark = pytest.mark.django_db
User: Any = get_user_model()

TALK = "talk@lists.test"


@pytest.fixture
def talk() -> MailingList:
    mlist = make_list(is_public=False)
    make_people(mlist)
    return mlist


@pytest.mark.parametrize(
    ("email", "role"),
    [
        (OLGA, Role.OWNER),
        (MORI, Role.MODERATOR),
        (SAM, Role.MEMBER),
        (NICK, Role.STRANGER),
    ],
)
def test_each_door_opens_from_its_role_on(
    talk: MailingList, email: str, role: Role
) -> None:
    user = User.objects.create_user(email)
    assert role_on(user, talk) == role
    doors = (
        (list_for_reader, Role.MEMBER),
        (list_for_moderator, Role.MODERATOR),
        (list_for_owner, Role.OWNER),
    )
    for door, needed in doors:
        if role >= needed:
            assert door(user, "Talk@Lists.test") == talk
        else:
            with pytest.raises(Http404):
                door(user, TALK)
    for wanted in (Role.MEMBER, Role.MODERATOR, Role.OWNER):
        assert lists_with_role(user, wanted).exists() == (role >= wanted)


def test_nobody_signed_in_sees_only_public_lists(talk: MailingList) -> None:
    nobody = AnonymousUser()
    assert role_on(nobody, talk) == Role.STRANGER
    assert not subscriptions_of(nobody).exists()
    assert not lists_with_role(nobody, Role.MEMBER).exists()
    with pytest.raises(Http404):
        list_for_reader(nobody, TALK)
    MailingList.objects.update(is_public=True)
    assert list_for_reader(nobody, TALK) == talk
    with pytest.raises(Http404):
        list_for_moderator(nobody, TALK)


@pytest.mark.parametrize("address", ["none@lists.test", "talk@none.test", "talk", ""])
def test_a_list_that_is_not_there_looks_like_a_private_one(
    talk: MailingList, address: str
) -> None:
    with pytest.raises(Http404):
        list_for_reader(User.objects.create_superuser(OLGA), address)


def test_admins_count_as_owners(talk: MailingList) -> None:
    site_admin = User.objects.create_superuser("root@site.test")
    domain_admin = User.objects.create_user("admin@site.test")
    other = make_list("other", is_public=False)
    talk.address.domain.admins.add(domain_admin)
    for user in (site_admin, domain_admin):
        assert role_on(user, talk) == Role.OWNER
        assert set(lists_with_role(user, Role.OWNER)) == {talk, other}


def test_a_linked_address_counts_like_the_accounts_own(talk: MailingList) -> None:
    user = User.objects.create_user("olga@private.test")
    Subscriber.objects.filter(folded=OLGA).update(user=user)
    assert role_on(user, talk) == Role.OWNER
    assert subscriptions_of(user).get().mailing_list == talk
