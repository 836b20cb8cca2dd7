"""The demonstration can be made again and again."""

import pytest

from aliases.models import Alias
from lists.models import MailingList, Subscription
from project.demo import OWNER, PEOPLE, fill
from project.models import User

pytestmark = pytest.mark.django_db


def test_seed_twice_changes_nothing() -> None:
    fill()
    before = (Subscription.objects.count(), Alias.objects.count())
    fill()
    assert (Subscription.objects.count(), Alias.objects.count()) == before
    talk = MailingList.objects.get(name="Talk")
    assert talk.subscriptions.filter(role="member").count() == len(PEOPLE) == 25
    assert User.objects.get(email=OWNER).is_superuser


def test_seed_leaves_what_people_changed() -> None:
    fill()
    MailingList.objects.filter(name="Talk").update(description="Ours")
    Subscription.objects.filter(subscriber__folded="sam@example.org").delete()
    fill()
    assert MailingList.objects.get(name="Talk").description == "Ours"
    assert not Subscription.objects.filter(
        subscriber__folded="sam@example.org"
    ).exists()
