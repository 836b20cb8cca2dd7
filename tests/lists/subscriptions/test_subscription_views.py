"""Signing up, the links in mail, and one's own subscriptions."""

from __future__ import annotations

import pytest
from django.test import Client

from lists.models import Request, Subscription
from lists.subscriptions.asking import ask_to_join
from smtpd import tokens
from smtpd.tokens import Purpose
from tests.lists.posts import NICK, OLGA, SAM
from tests.lists.site import Site, make_site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
def sams_link(site: Site) -> str:
    return f"/u/{tokens.make(Purpose.UNSUBSCRIBE, site.number(SAM))}"


def is_on(site: Site, address: str) -> bool:
    return site.mlist.subscriptions.filter(subscriber__folded=address).exists()


# --- signing up -------------------------------------------------------------


def test_asking_to_join_subscribes_nobody_yet(site: Site) -> None:
    answer = Client().post(f"{site.url}join/", {"email": NICK})
    assert answer["Location"] == f"{site.url}asked/"
    assert Request.objects.get(kind="join").address == NICK
    assert not is_on(site, NICK)


def test_members_and_strangers_get_the_same_answer(site: Site) -> None:
    answers = [
        Client().post(f"{site.url}join/", {"email": email}, follow=True).content
        for email in (SAM, NICK, "nobody@elsewhere.test")
    ]
    assert len(set(answers)) == 1


def test_what_is_no_address_is_said_beside_the_field(site: Site) -> None:
    answer = Client().post(f"{site.url}join/", {"email": "nick"})
    assert answer.context["form"].errors["email"]
    assert not Request.objects.exists()


def test_asking_to_leave_sends_a_question(site: Site) -> None:
    answer = Client().post(f"{site.url}join/", {"email": SAM, "leave": "1"})
    assert answer["Location"] == f"{site.url}asked/"
    assert Request.objects.get(kind="leave").address == SAM
    assert is_on(site, SAM)


def test_nobody_signs_up_by_get(site: Site) -> None:
    assert Client().get(f"{site.url}join/", {"email": NICK}).status_code == 405
    assert not Request.objects.exists()


def test_a_private_list_takes_no_wishes_of_strangers() -> None:
    site = make_site(is_public=False)
    assert Client().post(f"{site.url}join/", {"email": NICK}).status_code == 404
    assert not Request.objects.exists()


# --- the confirmation -------------------------------------------------------


def confirmation(site: Site) -> str:
    ask_to_join(site.mlist, NICK)
    return f"/confirm/{tokens.make(Purpose.CONFIRM, Request.objects.get().pk)}"


def test_opening_the_confirmation_changes_nothing(site: Site) -> None:
    link = confirmation(site)
    for verb in (Client().get, Client().head):
        assert verb(link).status_code == 200
    assert not is_on(site, NICK)


def test_the_button_of_the_confirmation_joins_without_a_cookie(site: Site) -> None:
    link = confirmation(site)
    stranger = Client(enforce_csrf_checks=True)
    assert "Welcome" in stranger.post(link).content.decode()
    assert is_on(site, NICK)
    assert "Welcome" in stranger.post(link).content.decode()


def test_forged_links_are_404(site: Site, sams_link: str) -> None:
    token = sams_link.removeprefix("/u/")
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    for path in (f"/u/{forged}", f"/confirm/{token}", f"/resume/{token}", "/u/x"):
        assert Client().post(path).status_code == 404
    assert is_on(site, SAM)


# --- one click (RFC 8058) ---------------------------------------------------


def test_opening_the_unsubscribe_link_only_shows_a_button(
    site: Site, sams_link: str
) -> None:
    assert 'value="One-Click"' in Client().get(sams_link).content.decode()
    assert Client().head(sams_link).status_code == 200
    assert is_on(site, SAM)


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
def test_one_post_without_cookies_unsubscribes_at_once(
    site: Site, sams_link: str, form: str
) -> None:
    robot = Client(enforce_csrf_checks=True)
    if form == "urlencoded":
        answer = robot.post(
            sams_link,
            "List-Unsubscribe=One-Click",
            content_type="application/x-www-form-urlencoded",
        )
    else:
        answer = robot.post(sams_link, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert not answer.cookies
    assert not is_on(site, SAM)


def test_the_one_click_link_may_be_pressed_again(site: Site, sams_link: str) -> None:
    first = Client().post(sams_link)
    # A mail program may have changed the letters' case.
    second = Client().post("/u/" + sams_link.removeprefix("/u/").upper())
    assert first.status_code == second.status_code == 200
    assert "off the list" in second.content.decode()


# --- coming back after bounces ----------------------------------------------


def test_the_resume_link_asks_first(site: Site) -> None:
    number = site.number(SAM)
    Subscription.objects.filter(pk=number).update(suspended_by="bounces")
    link = f"/resume/{tokens.make(Purpose.RESUME, number)}"
    Client().get(link)
    assert Subscription.objects.get(pk=number).suspended_by == "bounces"
    Client(enforce_csrf_checks=True).post(link)
    assert Subscription.objects.get(pk=number).suspended_by == ""


def test_what_an_owner_stopped_no_member_resumes(site: Site) -> None:
    number = site.number(SAM)
    row = Subscription.objects.filter(pk=number)
    row.update(suspended_by="owner")
    link = f"/resume/{tokens.make(Purpose.RESUME, number)}"
    assert "An owner paused" in Client().post(link).content.decode()
    page = site.as_("sam").post(f"/subscriptions/{number}/resume/", follow=True)
    assert "An owner stopped it" in page.content.decode()
    assert row.get().suspended_by == "owner"


# --- my subscriptions -------------------------------------------------------


def test_a_member_sees_their_lists_and_others_sign_in(site: Site) -> None:
    assert "Talk" in site.as_("sam").get("/subscriptions/").content.decode()
    assert "no list" in site.as_("nick").get("/subscriptions/").content.decode()
    assert site.as_("").get("/subscriptions/").status_code == 302


def test_a_member_chooses_pauses_resumes_and_leaves(site: Site) -> None:
    sam, number = site.as_("sam"), site.number(SAM)
    row = Subscription.objects.filter(pk=number)
    sam.post(f"/subscriptions/{number}/mode/", {"mode": "none"})
    assert row.get().mode == "none"
    sam.post(f"/subscriptions/{number}/mode/", {"mode": "loud"})
    assert row.get().mode == "none"
    sam.post(f"/subscriptions/{number}/pause/")
    assert row.get().suspended_by == "member"
    sam.post(f"/subscriptions/{number}/resume/")
    assert row.get().suspended_by == ""
    sam.get(f"/subscriptions/{number}/leave/")
    assert row.exists()
    sam.post(f"/subscriptions/{number}/leave/")
    assert not row.exists()


@pytest.mark.parametrize("verb", ["mode", "pause", "resume", "leave"])
def test_somebody_elses_subscription_does_not_exist(site: Site, verb: str) -> None:
    number = site.number(SAM)
    path = f"/subscriptions/{number}/{verb}/"
    for who in ("nick", "olga"):
        assert site.as_(who).post(path, {"mode": "none"}).status_code == 404
    assert site.as_("").post(path).status_code == 302
    assert Subscription.objects.get(pk=number).mode == "each"


@pytest.mark.parametrize("verb", ["mode", "pause", "resume"])
def test_a_get_changes_no_subscription(site: Site, verb: str) -> None:
    path = f"/subscriptions/{site.number(SAM)}/{verb}/"
    assert site.as_("sam").get(path).status_code == 405


def test_the_only_owner_is_told_what_to_do_instead_of_leaving(site: Site) -> None:
    olga, path = site.as_("olga"), f"/subscriptions/{site.number(OLGA)}/leave/"
    page = olga.get(path).content.decode()
    assert "needs an owner" in page
    assert f"{site.url}members/" in page
    answer = olga.post(path, follow=True).content.decode()
    assert "only owner" in answer
    assert site.number(OLGA)
