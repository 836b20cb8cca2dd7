"""People sign in by a code or a link, and only those the site knows."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from lists.models import Subscriber
from project.models import User
from project.signin import make_token, make_url

pytestmark = pytest.mark.django_db


def subscriber(address: str) -> Subscriber:
    folded = address.lower()
    domain = folded.partition("@")[2]
    return Subscriber.objects.create(
        address=address, folded=folded, domain=domain, name="Sam"
    )


@pytest.fixture(autouse=True)
def _outbox(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_subscriber_signs_in_by_code(client: Client) -> None:
    sam = subscriber("Sam@example.org")
    page = client.post("/accounts/login/", {"login": "", "email": "sam@example.org"})
    assert page.status_code == 302
    assert mail.outbox[0].to == ["sam@example.org"]
    found = re.search(
        r"^\s*([A-Z0-9]{4,}-?[A-Z0-9]{2,})\s*$", str(mail.outbox[0].body), re.M
    )
    assert found is not None
    client.post(page["Location"], {"code": found[1]})
    assert is_signed_in(client)
    sam.refresh_from_db()
    assert sam.user == User.objects.get(email="sam@example.org")
    assert sam.verified_at is not None


def test_stranger_sees_the_same_page_and_gets_no_mail(client: Client) -> None:
    subscriber("sam@example.org")
    known = client.post("/accounts/login/", {"email": "sam@example.org"})
    stranger = Client().post("/accounts/login/", {"email": "nick@example.org"})
    assert (known.status_code, known["Location"]) == (
        stranger.status_code,
        stranger["Location"],
    )
    assert [message.to for message in mail.outbox] == [["sam@example.org"]]
    assert not User.objects.filter(email="nick@example.org").exists()


def test_nobody_signs_up(client: Client) -> None:
    client.post("/accounts/signup/", {"email": "nick@example.org"})
    assert not User.objects.exists()


def test_wrong_code_signs_nobody_in(client: Client) -> None:
    subscriber("sam@example.org")
    page = client.post("/accounts/login/", {"email": "sam@example.org"})
    client.post(page["Location"], {"code": "AAAA-0000"})
    assert not is_signed_in(client)


def test_codes_to_one_address_are_limited(client: Client) -> None:
    subscriber("sam@example.org")
    for _ in range(8):
        Client().post("/accounts/login/", {"email": "sam@example.org"})
    assert len(mail.outbox) <= 3


def test_link_signs_in_when_the_button_is_pressed(client: Client) -> None:
    olga = User.objects.create_user("olga@example.org")
    path = f"/signin/{make_token(olga)}"
    assert client.get(path).status_code == 200
    assert not is_signed_in(client)
    assert client.post(path).status_code == 302
    assert is_signed_in(client)


def test_link_works_once() -> None:
    olga = User.objects.create_user("olga@example.org")
    path = f"/signin/{make_token(olga)}"
    assert Client().post(path).status_code == 302
    second = Client()
    assert second.get(path).status_code == 410
    assert second.post(path).status_code == 410
    assert not is_signed_in(second)


def test_link_dies_with_another_sign_in(client: Client) -> None:
    olga = User.objects.create_user("olga@example.org")
    token = make_token(olga)
    User.objects.update(last_login=timezone.now())
    assert client.post(f"/signin/{token}").status_code == 410


def test_forged_link_and_inactive_person_are_refused(client: Client) -> None:
    olga = User.objects.create_user("olga@example.org", is_active=False)
    assert client.post(f"/signin/{make_token(olga)}").status_code == 410
    assert client.post("/signin/WzEsIiJd:1aaaaa:forged").status_code == 410


def test_link_begins_with_the_sites_address(settings: Settings) -> None:
    settings.BASE_URL = "https://lists.example.org"
    olga = User.objects.create_user("olga@example.org")
    assert make_url(olga).startswith("https://lists.example.org/signin/")


def test_the_admin_asks_for_a_code_too(client: Client) -> None:
    page = client.get("/admin/login/", follow=True)
    assert b'type="password"' not in page.content
