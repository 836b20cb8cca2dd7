from __future__ import annotations

import pytest
from django.test import Client

from aliases import actions
from aliases.models import Alias
from tests.aliases.makers import NICK, OLGA, SAM, make_domain
from tests.people import signed_in

pytestmark = pytest.mark.django_db

SHOW = "/aliases/team@lists.test/"
PAGES = (SHOW, f"{SHOW}delete/", "/convert/team@lists.test/")


@pytest.fixture
def alias() -> Alias:
    make_domain()
    return actions.create("team@lists.test", [SAM], "The team")


@pytest.fixture
def olga(alias: Alias) -> Client:
    return signed_in(OLGA, runs=alias.address.domain)


def targets(alias: Alias) -> list[str]:
    return list(alias.targets.values_list("mailbox", flat=True))


def test_the_admin_of_a_domain_sees_its_aliases(olga: Client) -> None:
    page = olga.get("/aliases/").content.decode()
    assert "team@lists.test" in page
    assert SAM in page


@pytest.mark.parametrize("path", ["/aliases/", "/aliases/new/", *PAGES])
def test_strangers_get_404_and_the_signed_out_a_sign_in(
    alias: Alias, path: str
) -> None:
    other = make_domain("other.test")
    assert signed_in(NICK).get(path).status_code == 404
    assert Client().get(path).status_code == 302
    if path in PAGES:
        assert signed_in(SAM, runs=other).get(path).status_code == 404


@pytest.mark.parametrize("path", [SHOW, f"{SHOW}delete/", f"{SHOW}switch/"])
def test_a_stranger_changes_nothing(alias: Alias, path: str) -> None:
    answer = signed_in(NICK).post(path, {"targets": NICK, "to": "off"})
    assert answer.status_code == 404
    alias = Alias.objects.select_related("address").get(pk=alias.pk)
    assert targets(alias) == [SAM]
    assert alias.address.is_enabled


@pytest.mark.parametrize("path", ["/aliases/", "/aliases/new/", *PAGES])
def test_looking_changes_nothing(olga: Client, alias: Alias, path: str) -> None:
    assert olga.get(path).status_code == 200
    assert targets(Alias.objects.get(pk=alias.pk)) == [SAM]


def test_switching_needs_a_post(olga: Client) -> None:
    assert olga.get(f"{SHOW}switch/?to=off").status_code == 405


def test_a_form_without_its_token_is_refused(alias: Alias) -> None:
    olga = signed_in(OLGA, runs=alias.address.domain)
    olga.handler.enforce_csrf_checks = True
    assert olga.post(f"{SHOW}delete/").status_code == 403
    assert Alias.objects.filter(pk=alias.pk).exists()


def test_a_new_alias_takes_mail(olga: Client, alias: Alias) -> None:
    domain = alias.address.domain
    data = {"local_part": "Info", "domain": domain.pk, "targets": f"{SAM}\r\n{NICK}"}
    answer = olga.post("/aliases/new/", data)
    assert answer.headers["Location"] == "/aliases/info@lists.test/"
    made = Alias.objects.get(address__local_part="info")
    assert targets(made) == [SAM, NICK]


def test_an_address_that_is_taken_is_said_at_the_address(
    olga: Client, alias: Alias
) -> None:
    data = {"local_part": "team", "domain": alias.address.domain.pk, "targets": NICK}
    answer = olga.post("/aliases/new/", data)
    assert answer.context["form"].errors["local_part"] == ["team@lists.test is taken."]
    assert NICK in answer.content.decode()


def test_a_domain_of_somebody_else_cannot_be_chosen(olga: Client) -> None:
    other = make_domain("other.test")
    data = {"local_part": "mine", "domain": other.pk, "targets": NICK}
    assert olga.post("/aliases/new/", data).status_code == 200
    assert not Alias.objects.filter(address__local_part="mine").exists()


def test_wrong_lines_are_named_by_number_and_kept(olga: Client, alias: Alias) -> None:
    typed = f"{SAM}\r\n\r\nnonsense\r\n<b>@x"
    answer = olga.post(SHOW, {"targets": typed})
    errors = answer.context["form"].errors["targets"]
    assert errors[0] == "Line 3: nonsense is not an e-mail address."
    assert errors[1].startswith("Line 4: ")
    page = answer.content.decode()
    assert "nonsense\r\n&lt;b&gt;@x" in page
    assert targets(alias) == [SAM]


def test_a_cycle_is_refused_with_its_path(olga: Client, alias: Alias) -> None:
    actions.create("second@lists.test", ["team@lists.test"])
    answer = olga.post(SHOW, {"targets": "second@lists.test"})
    (error,) = answer.context["form"].errors["targets"]
    assert "team@lists.test -> second@lists.test -> team@lists.test" in error
    assert targets(alias) == [SAM]


def test_saving_gives_it_other_targets(olga: Client, alias: Alias) -> None:
    assert olga.post(SHOW, {"targets": NICK, "description": "x"}).status_code == 302
    assert targets(alias) == [NICK]
    assert Alias.objects.get(pk=alias.pk).description == "x"


def test_switching_off_keeps_the_targets_and_on_again(
    olga: Client, alias: Alias
) -> None:
    olga.post(f"{SHOW}switch/", {"to": "off"})
    alias.address.refresh_from_db()
    assert not alias.address.is_enabled
    assert targets(alias) == [SAM]
    olga.post(f"{SHOW}switch/", {"to": "on"})
    alias.address.refresh_from_db()
    assert alias.address.is_enabled


def test_deleting_frees_the_address(olga: Client, alias: Alias) -> None:
    assert olga.post(f"{SHOW}delete/").headers["Location"] == "/aliases/"
    assert not Alias.objects.filter(pk=alias.pk).exists()


def test_a_postmaster_cannot_be_deleted(olga: Client, alias: Alias) -> None:
    actions.provision(alias.address.domain)
    answer = olga.post("/aliases/postmaster@lists.test/delete/", follow=True)
    assert "every domain must have it" in answer.content.decode()
    assert Alias.objects.filter(address__local_part="postmaster").exists()


@pytest.mark.parametrize(
    ("words", "found"), [("sam@", 1), ("team@lists", 1), ("The te", 1), ("zebra", 0)]
)
def test_search_looks_at_address_target_and_note(
    olga: Client, words: str, found: int
) -> None:
    assert olga.get("/aliases/", {"q": words}).context["page"].paginator.count == found


def test_turning_it_into_a_list_keeps_the_address(olga: Client, alias: Alias) -> None:
    answer = olga.post("/convert/team@lists.test/", {"name": "The team"})
    assert answer.headers["Location"] == "/lists/team@lists.test/settings/"
    assert not Alias.objects.filter(pk=alias.pk).exists()
    back = olga.post("/convert/team@lists.test/", {"sure": "1"})
    assert back.headers["Location"] == SHOW
    assert Alias.objects.filter(address__local_part="team").exists()
