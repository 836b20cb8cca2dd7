"""The pages of the list itself and the home page, through Django's client."""

from __future__ import annotations

import pytest
from django.test import Client

from lists.models import MailingList
from project.models import User
from smtpd.models import Address, Domain
from tests.lists.posts import NICK, OLGA, make_mail, post_to
from tests.lists.site import Site, make_site
from tests.people import signed_in

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
EVERYBODY = ("olga", "mori", "sam", "nick", "")
NEW = {
    "kind": "announcement",
    "name": "News",
    "local_part": "News",
    "description": "Now and then",
}


@pytest.fixture
def site() -> Site:
    return make_site(description="About gardens\nand more")


@pytest.fixture
def settings_of(site: Site) -> dict[str, str]:
    """What the settings page's form sends when nothing was touched."""
    form = site.as_("olga").get(f"{site.url}settings/").context["form"]
    return {
        name: str(value)
        for name in form.fields
        if (value := form[name].value()) not in (None, False)
    }


@pytest.mark.parametrize(
    ("page", "allowed"),
    [
        ("", {"olga", "mori", "sam", "nick", ""}),
        ("asked/", {"olga", "mori", "sam", "nick", ""}),
        ("posts/", {"olga", "mori"}),
        ("moderation/", {"olga", "mori"}),
        ("members/", {"olga"}),
        ("members/add/", {"olga"}),
        ("members/import/", {"olga"}),
        ("members/export/", {"olga"}),
        ("settings/", {"olga"}),
        ("delete/", {"olga"}),
    ],
)
def test_each_page_opens_for_its_people_and_is_404_for_others(
    site: Site, page: str, allowed: set[str]
) -> None:
    seen = {
        who
        for who in EVERYBODY
        if site.as_(who).get(f"{site.url}{page}").status_code == 200
    }
    answers = {site.as_(who).get(f"{site.url}{page}").status_code for who in EVERYBODY}
    assert seen == allowed
    assert answers <= {200, 404}


@pytest.mark.parametrize("page", ["", "asked/", "posts/"])
def test_a_private_list_does_not_exist_for_strangers(page: str) -> None:
    site = make_site(is_public=False)
    missing = Client().get(f"/lists/none@lists.test/{page}")
    for who in ("nick", ""):
        found = site.as_(who).get(f"{site.url}{page}")
        assert found.status_code == missing.status_code == 404
    assert site.as_("sam").get(site.url).status_code == 200


def test_the_home_page_of_strangers_names_public_lists_only(site: Site) -> None:
    hidden = make_site(name="board", title="The board", is_public=False)
    page = Client().get("/").content.decode()
    assert "Talk" in page
    assert "About gardens" in page
    assert "and more" not in page
    assert hidden.mlist.name not in page


def test_the_home_page_of_a_moderator_counts_what_is_held(site: Site) -> None:
    post_to(site.mlist, make_mail(author=NICK))
    assert "1 message" in site.as_("mori").get("/").content.decode()
    assert "1 message" not in site.as_("sam").get("/").content.decode()


def test_the_home_page_shows_the_role_one_has(site: Site) -> None:
    assert "Owner" in site.as_("olga").get("/").content.decode()
    assert "Owner" not in site.as_("sam").get("/").content.decode()


def test_the_list_page_says_who_may_write(site: Site) -> None:
    assert "Members write" in Client().get(site.url).content.decode()
    site.mlist.posters = MailingList.Posters.OWNERS
    site.mlist.save()
    assert "announcements" in Client().get(site.url).content.decode()


def test_a_closed_list_shows_no_signup_form(site: Site) -> None:
    assert "Join this list" in Client().get(site.url).content.decode()
    site.mlist.joining = MailingList.Joining.CLOSED
    site.mlist.save()
    assert "Join this list" not in Client().get(site.url).content.decode()


def test_whoever_runs_a_domain_makes_a_list_by_preset(site: Site) -> None:
    domain = Domain.objects.get(name="lists.test")
    answer = signed_in(NICK, runs=domain).post(
        "/lists/new/", {**NEW, "domain": domain.pk, "is_public": "on"}
    )
    mlist = MailingList.objects.get(name="News")
    assert answer["Location"] == f"/lists/{mlist.posting_address}/members/add/"
    assert mlist.posting_address == "news@lists.test"
    assert (mlist.posters, mlist.others) == ("owners", "refuse")
    assert mlist.subscriptions.owners().get().subscriber.folded == NICK


def test_a_taken_address_is_said_beside_the_field(site: Site) -> None:
    domain = Domain.objects.get(name="lists.test")
    answer = signed_in(NICK, runs=domain).post(
        "/lists/new/", {**NEW, "local_part": "talk", "domain": domain.pk}
    )
    assert "taken" in str(answer.context["form"].errors["local_part"])


def test_who_runs_no_domain_makes_no_list(site: Site) -> None:
    assert site.as_("olga").get("/lists/new/").status_code == 404
    assert Client().get("/lists/new/").status_code == 302


def test_one_cannot_make_a_list_on_somebody_elses_domain(site: Site) -> None:
    theirs = Domain.objects.create(name="theirs.test")
    own = Domain.objects.get(name="lists.test")
    signed_in(NICK, runs=own).post("/lists/new/", {**NEW, "domain": theirs.pk})
    assert not MailingList.objects.filter(name="News").exists()


def test_the_owner_changes_settings(site: Site, settings_of: dict[str, str]) -> None:
    changed = {
        **settings_of,
        "name": "Garden",
        "max_megabytes": "3",
        "bounce_days": "7",
    }
    answer = site.as_("olga").post(f"{site.url}settings/", changed)
    assert answer.status_code == 302
    site.mlist.refresh_from_db()
    assert site.mlist.name == "Garden"
    assert site.mlist.max_size == 3_000_000
    assert site.mlist.bounce_limit == 14


def test_settings_with_a_mistake_save_nothing(
    site: Site, settings_of: dict[str, str]
) -> None:
    wrong = {**settings_of, "name": "Garden", "max_megabytes": "0"}
    answer = site.as_("olga").post(f"{site.url}settings/", wrong)
    assert answer.status_code == 200
    site.mlist.refresh_from_db()
    assert site.mlist.name == "Talk"


def test_a_prefix_with_a_line_break_is_refused(
    site: Site, settings_of: dict[str, str]
) -> None:
    wrong = {**settings_of, "subject_prefix": "[a]\r\nBcc: x"}
    site.as_("olga").post(f"{site.url}settings/", wrong)
    site.mlist.refresh_from_db()
    assert "\n" not in site.mlist.subject_prefix


def test_deleting_wants_the_address_typed(site: Site) -> None:
    olga = site.as_("olga")
    olga.post(f"{site.url}delete/", {"address": "talk"})
    assert MailingList.objects.filter(pk=site.mlist.pk).exists()
    answer = olga.post(f"{site.url}delete/", {"address": site.mlist.posting_address})
    assert answer["Location"] == "/"
    assert not Address.objects.filter(local_part="talk").exists()


@pytest.mark.parametrize("who", ["mori", "sam", "nick", ""])
@pytest.mark.parametrize("page", ["settings/", "delete/"])
def test_others_change_nothing(site: Site, who: str, page: str) -> None:
    answer = site.as_(who).post(
        f"{site.url}{page}", {"address": site.mlist.posting_address, "name": "Mine"}
    )
    assert answer.status_code == 404
    assert MailingList.objects.get(pk=site.mlist.pk).name == "Talk"


@pytest.mark.parametrize("page", ["settings/", "delete/", "join/", "members/add/"])
def test_a_post_without_the_forms_token_is_403(site: Site, page: str) -> None:
    signed_in(OLGA)
    olga = Client(enforce_csrf_checks=True)
    olga.force_login(User.objects.get(email=OLGA), backend=BACKEND)
    assert olga.post(f"{site.url}{page}", {"address": "x"}).status_code == 403


def test_error_pages_keep_the_frame(site: Site) -> None:
    page = Client().get("/lists/none@lists.test/").content.decode()
    assert "nothing here for you" in page
    assert "/accounts/login/?next=/lists/none%40lists.test/" in page
