"""The account page, and the band on top that shows each person their own."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from project.models import User
from smtpd.models import AppPassword, Domain
from smtpd.submission import passwords
from smtpd.submission.actions import MOST
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


@pytest.fixture
def _open_ports(settings: Settings) -> None:
    settings.SUBMISSION_BIND = "0.0.0.0:587"
    settings.SUBMISSIONS_BIND = ":465"


@pytest.mark.usefixtures("_open_ports")
def test_a_password_is_shown_once_with_all_there_is_to_fill_in() -> None:
    sam = signed_in(SAM)
    answer = sam.post("/account/programs/", {"program-name": "Laptop"})
    page = answer.content.decode()
    secret = re.search(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){5})</code>", page)
    assert secret
    for told in ("mx.folkmoot.test", "465", "587", "SSL/TLS", "STARTTLS", SAM):
        assert told in page
    assert "no-store" in answer["Cache-Control"]
    assert passwords.digest(secret[1]) == AppPassword.objects.get().hash
    account = sam.get("/account/").content.decode()
    assert "Laptop" in account
    assert "never used" in account
    assert secret[1] not in account


@pytest.mark.usefixtures("_open_ports")
def test_a_password_is_removed_by_its_owner_alone() -> None:
    sam = signed_in(SAM)
    sam.post("/account/programs/", {"program-name": "Laptop"})
    program = AppPassword.objects.get()
    url = f"/account/programs/{program.pk}/remove/"
    assert signed_in(NICK).post(url).status_code == 404
    assert sam.get(url).status_code == 405
    assert AppPassword.objects.good().count() == 1
    assert sam.post(url, follow=True).status_code == 200
    assert not AppPassword.objects.good().exists()
    assert "Laptop</strong>" not in sam.get("/account/").content.decode()


@pytest.mark.usefixtures("_open_ports")
def test_the_last_use_and_the_senders_are_told() -> None:
    olga = signed_in(OLGA, runs=Domain.objects.create(name="own.test"))
    olga.post("/account/programs/", {"program-name": "Phone"})
    AppPassword.objects.update(last_used_at=timezone.now(), last_used_from="192.0.2.7")
    page = olga.get("/account/").content.decode()
    assert "from 192.0.2.7" in page
    assert "any address of own.test" in page
    assert "They may write to anybody." in page
    assert (
        "They may write to lists and other addresses"
        in signed_in(NICK).get("/account/").content.decode()
    )


@pytest.mark.usefixtures("_open_ports")
def test_a_program_without_a_name_and_one_too_many_are_refused() -> None:
    sam = signed_in(SAM)
    page = sam.post("/account/programs/", {"program-name": ""}, follow=True)
    assert "Give the mail program a name" in page.content.decode()
    for number in range(MOST):
        sam.post("/account/programs/", {"program-name": str(number)})
    page = sam.post("/account/programs/", {"program-name": "more"}, follow=True)
    assert f"You have {MOST} passwords" in page.content.decode()
    assert AppPassword.objects.count() == MOST


def test_where_nobody_can_send_there_are_no_mail_programs() -> None:
    assert "Mail programs" not in signed_in(SAM).get("/account/").content.decode()
