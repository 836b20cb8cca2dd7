"""The account page, and the band on top that shows each person their own."""

from __future__ import annotations

import pytest
from django.test import Client

from project.models import User
from smtpd.models import Domain
from tests.lists.posts import (
    MORI,
    NICK,
    OLGA,
    SAM,
    make_list,
    make_mail,
    make_people,
    post_to,
)
from tests.people import signed_in

pytestmark = pytest.mark.django_db


def band(client: Client) -> str:
    page = client.get("/").content.decode()
    return page.partition("<main")[0]


def test_one_changes_ones_name(client: Client) -> None:
    sam = signed_in(SAM)
    assert SAM in sam.get("/account/").content.decode()
    assert sam.post("/account/", {"name": "Sam Reed"}).status_code == 302
    assert User.objects.get(email=SAM).name == "Sam Reed"


def test_the_account_page_is_for_those_who_signed_in(client: Client) -> None:
    assert client.get("/account/")["Location"] == "/accounts/login/?next=/account/"


def test_the_account_page_names_the_addresses_of_ones_subscriptions() -> None:
    make_people(make_list())
    assert SAM in signed_in(SAM).get("/account/").content.decode()
    assert "you are on no list" in signed_in(NICK).get("/account/").content.decode()


def test_the_band_shows_each_role_its_pages() -> None:
    mlist = make_list()
    make_people(mlist)
    post_to(mlist, make_mail(author=NICK))
    domain = Domain.objects.create(name="own.test")
    assert "/moderation/" not in band(signed_in(SAM))
    mori = band(signed_in(MORI))
    assert '<span class="count">1</span>' in mori
    assert "/queue/" not in mori
    assert "/queue/" in band(signed_in(OLGA, runs=domain))
    assert "/queue/" in band(signed_in(NICK, admin=True))
    assert "Sign in" in band(Client())


def test_signing_out_wants_a_post() -> None:
    sam = signed_in(SAM)
    sam.get("/accounts/logout/")
    assert "_auth_user_id" in sam.session
    sam.post("/accounts/logout/")
    assert "_auth_user_id" not in sam.session
