"""The page of a domain's signing keys."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from smtpd.domains import actions
from smtpd.models import Domain, SigningKey
from tests.aliases.makers import NICK, OLGA, make_domain
from tests.dns import Dns
from tests.people import signed_in

pytestmark = pytest.mark.django_db
PATH = "/domains/lists.test/keys/"


@pytest.fixture
def domain() -> Domain:
    domain = make_domain("lists.test")
    domain.dkim_key = actions.make_key("ed25519")
    domain.save()
    return domain


def test_a_key_goes_its_way(domain: Domain, dns: Dns) -> None:
    olga = signed_in(OLGA, runs=domain)
    made = olga.post(
        f"{PATH}make/", {"dkim": "ed25519", "selector": "next"}, follow=True
    )
    key = domain.signing_keys.get()
    page = made.content.decode()
    assert key.public in page
    assert "next._domainkey.lists.test." in page
    assert "Signs next" in page
    assert "Not in DNS" in olga.get(PATH, {"ask": "dns"}).content.decode()
    early = olga.post(f"{PATH}switch/", follow=True).content.decode()
    assert "Still signed with the old key" in early
    dns.add(str(key), "TXT", f'"{key.public}"')
    assert "In DNS" in olga.get(PATH, {"ask": "dns"}).content.decode()
    page = olga.post(f"{PATH}switch/", follow=True).content.decode()
    assert "signed with the new key now" in page
    assert "Leave its record in DNS until" in page
    domain.refresh_from_db()
    assert domain.dkim_selector == "next"
    SigningKey.objects.update(stopped_at=timezone.now() - timedelta(days=8))
    assert "Delete its record from DNS" in olga.get(PATH).content.decode()
    assert "can be deleted now" in olga.get("/domains/lists.test/").content.decode()
    page = olga.post(f"{PATH}folkmoot/forget/", follow=True).content.decode()
    assert "Signed before" not in page


def test_by_force_and_revoked(domain: Domain, dns: Dns) -> None:
    olga = signed_in(OLGA, runs=domain)
    olga.post(f"{PATH}make/", {"dkim": "rsa", "selector": ""})
    olga.post(f"{PATH}switch/", {"force": "yes"})
    domain.refresh_from_db()
    assert domain.dkim_selector.startswith("folkmoot-20")
    page = olga.post(f"{PATH}folkmoot/revoke/", follow=True).content.decode()
    assert "<code>v=DKIM1; p=</code>" in page


def test_what_is_not_possible_is_said(domain: Domain) -> None:
    olga = signed_in(OLGA, runs=domain)
    taken = olga.post(f"{PATH}make/", {"dkim": "rsa", "selector": "folkmoot"})
    assert "was the selector of another key" in taken.content.decode()
    odd = olga.post(f"{PATH}make/", {"dkim": "rsa", "selector": "a b"})
    assert "Use letters" in odd.content.decode()
    olga.post(f"{PATH}make/", {"dkim": "ed25519", "selector": "next"})
    olga.post(f"{PATH}drop/")
    assert domain.signing_keys.get().state == "gone"
    page = olga.post(f"{PATH}next/forget/", follow=True).content.decode()
    assert "no former key" in page


def test_no_page_shows_a_private_key(domain: Domain) -> None:
    olga = signed_in(OLGA, runs=domain, admin=True)
    key = actions.make_next_key(domain, "ed25519")
    secrets = [
        line
        for pem in (domain.dkim_key, key.pem)
        for line in pem.splitlines()
        if "-----" not in line
    ]
    assert len(secrets) == 2
    for path in (
        PATH,
        "/domains/lists.test/",
        f"/admin/smtpd/domain/{domain.pk}/change/",
    ):
        answer = olga.get(path)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert not any(secret in page for secret in secrets)


def test_no_log_has_a_private_key(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    key = actions.make_next_key(domain, "ed25519")
    actions.switch_key(domain, force=True)
    assert "selector=" in caplog.text
    assert key.pem.splitlines()[1] not in caplog.text


def test_an_old_key_is_pointed_out(domain: Domain) -> None:
    made_at = timezone.now() - timedelta(days=430)
    Domain.objects.update(dkim_made_at=made_at)
    olga = signed_in(OLGA, runs=domain)
    page = olga.get("/domains/lists.test/").content.decode()
    assert "This key is 14 months old" in page
    assert "Time for a new one" in page
    assert "14 months old" in olga.get(PATH).content.decode()


@pytest.mark.parametrize(
    "path",
    ["", "make/", "switch/", "drop/", "folkmoot/revoke/", "folkmoot/forget/"],
)
def test_keys_are_the_business_of_whoever_runs_the_domain(
    domain: Domain, path: str
) -> None:
    key = actions.make_next_key(domain, "ed25519")
    other = signed_in(NICK, runs=make_domain("other.test"))
    full = PATH + path
    answer = (
        other.post(full, {"force": "yes", "dkim": "rsa"}) if path else other.get(full)
    )
    assert answer.status_code == 404
    key.refresh_from_db()
    assert key.state == "next"
    if path:
        assert signed_in(OLGA, runs=domain).get(full).status_code == 405
