"""An address moves, is shown, changes its way, and moves back: in a browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aliases import actions
from aliases.models import Alias
from aliases.moving.actions import create_moved, move
from smtpd.models import Address
from tests.aliases.makers import NICK, OLGA, SAM, make_domain
from tests.people import signed_in

pytestmark = pytest.mark.django_db

SHOW = "/aliases/team@lists.test/"
PAGES = (f"{SHOW}move/", f"{SHOW}move-back/")


@pytest.fixture
def alias() -> Alias:
    make_domain()
    return actions.create("team@lists.test", [SAM], "The team")


@pytest.fixture
def olga(alias: Alias) -> Client:
    return signed_in(OLGA, runs=alias.address.domain)


def row() -> Address:
    return Address.objects.named("team@lists.test").get()


def test_what_never_was_an_alias_has_no_former_targets(olga: Client) -> None:
    create_moved("gone@lists.test", NICK)
    page = olga.get("/aliases/gone@lists.test/").content.decode()
    assert "former targets" not in page
    assert "goes to the new address then" in page


def test_an_alias_moves_and_is_listed_so(olga: Client) -> None:
    assert olga.get(f"{SHOW}move/").status_code == 200
    data = {"moved_to": NICK, "correction": "refuse", "description": "Left in May"}
    assert olga.post(f"{SHOW}move/", data).headers["Location"] == SHOW
    assert (row().kind, row().moved_to, row().correction) == ("moved", NICK, "refuse")
    listed = olga.get("/aliases/").content.decode()
    for words in ("moved to", NICK, "Moved: refused", "Left in May"):
        assert words in listed
    page = olga.get(SHOW).content.decode()
    assert "550 5.1.6" in page
    assert SAM in page, "the former target"


def test_the_way_is_changed_on_its_page(olga: Client, alias: Alias) -> None:
    move(alias, NICK, "refuse")
    data = {"moved_to": OLGA, "correction": "forward", "last_day": "2099-12-31"}
    assert olga.post(SHOW, data).status_code == 302
    assert (row().moved_to, row().correction) == (OLGA, "forward")
    assert str(row().last_day) == "2099-12-31"
    assert "250 2.1.5" in olga.get(SHOW).content.decode()
    assert olga.get(f"{SHOW}move/").headers["Location"] == SHOW


def test_it_is_changed_back(olga: Client, alias: Alias) -> None:
    move(alias, NICK)
    assert olga.get(f"{SHOW}move-back/").status_code == 405
    olga.post(f"{SHOW}move-back/")
    assert (row().kind, row().moved_to) == ("alias", "")
    assert [target.mailbox for target in alias.targets.all()] == [SAM]
    assert olga.post(f"{SHOW}move-back/").status_code == 302, "twice is no harm"


def test_what_is_wrong_is_said_at_the_new_address(olga: Client) -> None:
    answer = olga.post(f"{SHOW}move/", {"moved_to": "team@lists.test"})
    assert "own target" in answer.context["form"].errors["moved_to"][0]
    assert row().kind == "alias"


def test_ways_that_tell_are_offered_where_the_site_tells(
    olga: Client, settings: Settings
) -> None:
    path = f"{SHOW}move/"
    assert 'value="refer"' not in olga.get(path).content.decode()
    answer = olga.post(path, {"moved_to": NICK, "correction": "refer"})
    assert answer.context["form"].errors["correction"]
    settings.MOVED_DISCLOSE = True
    assert 'value="refer"' in olga.get(path).content.decode()
    assert olga.post(path, {"moved_to": NICK, "correction": "refer"}).status_code == 302
    settings.MOVED_DISCLOSE = False
    page = olga.get(SHOW).content.decode()
    assert 'value="refer"' in page, "what was chosen stays chosen"
    assert "this site tells none" in page


def test_an_address_that_was_never_here(olga: Client, alias: Alias) -> None:
    data = {
        "local_part": "Nick",
        "domain": alias.address.domain_id,
        "moved_to": NICK,
        "correction": "",
    }
    assert olga.get("/aliases/new/moved/?at=lists.test").status_code == 200
    answer = olga.post("/aliases/new/moved/", data)
    assert answer.headers["Location"] == "/aliases/nick@lists.test/"
    made = Address.objects.named("nick@lists.test").get()
    assert (made.kind, made.moved_to) == ("moved", NICK)
    again = olga.post("/aliases/new/moved/", data)
    assert "is taken" in again.content.decode()


def test_a_stranger_sees_and_changes_nothing(alias: Alias) -> None:
    other = make_domain("other.test")
    for client in (signed_in(NICK), signed_in(SAM, runs=other)):
        for path in PAGES:
            assert client.post(path, {"moved_to": NICK}).status_code == 404
        assert client.get(f"{SHOW}move/").status_code == 404
    assert signed_in(NICK).get("/aliases/new/moved/").status_code == 404
    assert row().kind == "alias"


def test_who_has_moved_is_found_by_the_new_address(olga: Client) -> None:
    create_moved("nick@lists.test", NICK)
    assert olga.get("/aliases/", {"q": "elsewhere"}).context["page"].paginator.count


def test_who_has_moved_is_changed_back_before_it_is_a_list(
    olga: Client, alias: Alias
) -> None:
    move(alias, NICK)
    answer = olga.post("/convert/team@lists.test/", {"name": "The team"})
    assert "has moved" in answer.content.decode()
    assert row().kind == "moved"


# --- last day -----------------------------------------------------------------


def test_an_alias_gets_a_last_day_and_loses_it(olga: Client) -> None:
    day = timezone.localdate() + timedelta(days=7)
    olga.post(SHOW, {"targets": SAM, "last_day": day.isoformat()})
    assert row().last_day == day
    assert f'value="{day.isoformat()}"' in olga.get(SHOW).content.decode()
    assert "until" in olga.get("/aliases/").content.decode()
    olga.post(SHOW, {"targets": SAM, "last_day": ""})
    assert row().expires_at is None


def test_past_its_last_day_it_is_shown_as_expired(olga: Client) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    olga.post(SHOW, {"targets": SAM, "last_day": yesterday.isoformat()})
    page = olga.get(SHOW).content.decode()
    assert "Expired" in page
    assert "550 5.2.1 This address has expired" in page


def test_a_new_alias_may_end(olga: Client, alias: Alias) -> None:
    data = {"local_part": "fair", "domain": alias.address.domain_id, "targets": SAM}
    olga.post("/aliases/new/", {**data, "last_day": "2099-12-31"})
    made = Address.objects.named("fair@lists.test").get()
    assert str(made.last_day) == "2099-12-31"
    wrong = olga.post(SHOW, {"targets": SAM, "last_day": "tomorrow"})
    assert wrong.context["form"].errors["last_day"]


def test_a_postmaster_has_no_last_day(olga: Client) -> None:
    path = "/aliases/postmaster@lists.test/"
    assert "last_day" not in olga.get(path).context["form"].fields
    assert (
        olga.post(path, {"targets": SAM, "last_day": "2000-01-01"}).status_code == 302
    )
    assert Address.objects.named("postmaster@lists.test").get().expires_at is None


# --- the domain's default -----------------------------------------------------


def test_a_domain_has_a_choice_of_its_own(olga: Client, settings: Settings) -> None:
    settings.MOVED_DISCLOSE = True
    path = "/domains/lists.test/correction/"
    assert olga.get(path).status_code == 405
    assert olga.post(path, {"correction": "refer"}).status_code == 302
    assert row().domain.correction == "refer"
    page = olga.get("/domains/lists.test/").content.decode()
    assert "Refuse, and tell the new address." in page
    settings.MOVED_DISCLOSE = False
    assert "this site tells none" in olga.get("/domains/lists.test/").content.decode()
    wrong = olga.post(path, {"correction": "nonsense"})
    assert wrong.context["correction_form"].errors["correction"]
    olga.post(path, {"correction": ""})
    assert row().domain.correction == ""


def test_a_stranger_chooses_nothing_for_a_domain(alias: Alias) -> None:
    path = "/domains/lists.test/correction/"
    assert signed_in(NICK).post(path, {"correction": "refuse"}).status_code == 404
    assert row().domain.correction == ""
