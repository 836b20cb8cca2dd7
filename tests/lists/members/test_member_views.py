"""The member pages of a list."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from lists.models import MemberImport, Subscription
from lists.subscriptions.imports import run_import
from tests.lists.posts import MORI, NICK, OLGA, SAM
from tests.lists.site import Site, make_site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def site() -> Site:
    return make_site()


def shown(site: Site, query: str) -> set[str]:
    page = site.as_("olga").get(f"{site.url}members/?{query}").context["page"]
    return {member.subscriber.address for member in page}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {OLGA, MORI, SAM}),
        ("q=SAM", {SAM}),
        ("role=moderator", {MORI}),
        ("state=bouncing", {SAM}),
        ("state=receiving", {OLGA, MORI}),
        ("q=nobody", set()),
        ("role=king", {OLGA, MORI, SAM}),
        ("page=99", {OLGA, MORI, SAM}),
    ],
)
def test_members_are_searched_and_filtered(
    site: Site, query: str, expected: set[str]
) -> None:
    site.mlist.subscriptions.filter(pk=site.number(SAM)).update(suspended_by="bounces")
    assert shown(site, query) == expected


def test_an_owner_adds_one(site: Site) -> None:
    path = f"{site.url}members/add/"
    olga = site.as_("olga")
    olga.post(path, {"address": NICK, "name": "Nick", "role": "moderator"})
    added = Subscription.objects.get(pk=site.number(NICK))
    assert added.role == "moderator"
    again = olga.post(path, {"address": NICK, "role": "member"}, follow=True)
    assert "already" in again.content.decode()
    wrong = olga.post(path, {"address": "nick", "role": "member"})
    assert wrong.context["form"].errors["address"]


def test_an_owner_changes_a_member(site: Site) -> None:
    number = site.number(SAM)
    path = f"{site.url}members/{number}/"
    site.as_("olga").post(path, {"role": "owner", "mode": "digest", "posting": "held"})
    sam = Subscription.objects.get(pk=number)
    assert (sam.role, sam.mode, sam.posting) == ("owner", "digest", "held")


def test_the_last_owner_stays_owner(site: Site) -> None:
    number = site.number(OLGA)
    answer = site.as_("olga").post(
        f"{site.url}members/{number}/",
        {"role": "member", "mode": "each", "posting": "default"},
    )
    assert answer.context["form"].errors["role"]
    assert Subscription.objects.get(pk=number).role == "owner"


def test_an_owner_pauses_and_resumes_a_member(site: Site) -> None:
    path = f"{site.url}members/{site.number(SAM)}/"
    row = Subscription.objects.filter(pk=site.number(SAM))
    olga = site.as_("olga")
    assert olga.get(f"{path}pause/").status_code == 405
    olga.post(f"{path}pause/")
    assert row.get().suspended_by == "owner"
    olga.post(f"{path}resume/")
    assert row.get().suspended_by == ""


def test_removing_asks_before_it_removes(site: Site) -> None:
    numbers = [site.number(SAM), site.number(MORI)]
    path = f"{site.url}members/remove/"
    olga = site.as_("olga")
    page = olga.post(path, {"members": numbers})
    assert SAM in page.content.decode()
    assert site.mlist.subscriptions.count() == 3
    olga.post(path, {"members": numbers, "sure": "1"})
    assert list(site.mlist.subscriptions.values_list("pk", flat=True)) == [
        site.number(OLGA)
    ]


def test_removing_every_owner_removes_nobody(site: Site) -> None:
    everybody = list(site.mlist.subscriptions.values_list("pk", flat=True))
    answer = site.as_("olga").post(
        f"{site.url}members/remove/", {"members": everybody, "sure": "1"}, follow=True
    )
    assert "somebody else an owner first" in answer.content.decode()
    assert site.mlist.subscriptions.count() == 3


def test_members_of_another_list_are_out_of_reach(site: Site) -> None:
    other = make_site(name="other")
    theirs = other.number(SAM)
    olga = site.as_("olga")
    assert olga.get(f"{site.url}members/{theirs}/").status_code == 404
    olga.post(f"{site.url}members/remove/", {"members": [theirs], "sure": "1"})
    assert Subscription.objects.filter(pk=theirs).exists()


@pytest.mark.parametrize("who", ["mori", "sam", "nick", ""])
@pytest.mark.parametrize("page", ["add/", "remove/", "import/"])
def test_others_than_owners_get_404(site: Site, who: str, page: str) -> None:
    data = {"address": NICK, "role": "member", "text": NICK, "members": "1"}
    answer = site.as_(who).post(f"{site.url}members/{page}", data)
    assert answer.status_code == 404
    assert site.mlist.subscriptions.count() == 3
    assert not MemberImport.objects.exists()


def test_an_import_says_first_what_it_would_do(site: Site) -> None:
    olga = site.as_("olga")
    answer = olga.post(f"{site.url}members/import/", {"text": f"{NICK}\n{SAM}\nbob"})
    job = MemberImport.objects.get()
    assert answer["Location"] == f"{site.url}members/import/{job.pk}/"
    assert "http-equiv" in olga.get(answer["Location"]).content.decode()

    run_import(job.pk)
    page = olga.get(answer["Location"]).content.decode()
    assert "Add 1 member now" in page
    assert "bob" in page
    assert "http-equiv" not in page
    assert site.mlist.subscriptions.count() == 3


def test_the_button_of_a_dry_run_imports(site: Site) -> None:
    olga = site.as_("olga")
    olga.post(f"{site.url}members/import/", {"text": NICK})
    dry = MemberImport.objects.get()
    path = f"{site.url}members/import/{dry.pk}/"
    olga.post(path)
    assert MemberImport.objects.count() == 1, "it has not been read yet"
    run_import(dry.pk)
    olga.post(path)
    job = MemberImport.objects.get(is_dry_run=False)
    run_import(job.pk)
    assert site.number(NICK)


def test_a_file_is_read_as_utf_8(site: Site) -> None:
    olga, path = site.as_("olga"), f"{site.url}members/import/"
    good = SimpleUploadedFile("people.csv", f"{NICK},Ñick".encode("utf-8-sig"))
    assert olga.post(path, {"file": good}).status_code == 302
    assert "Ñick" in MemberImport.objects.get().text
    bad = SimpleUploadedFile("people.csv", "Ñick".encode("latin-1"))
    assert olga.post(path, {"file": bad}).context["form"].errors["file"]
    assert olga.post(path, {"text": "  "}).context["form"].errors


def test_progress_is_asked_for_in_part(site: Site) -> None:
    olga = site.as_("olga")
    olga.post(f"{site.url}members/import/", {"text": NICK})
    path = f"{site.url}members/import/{MemberImport.objects.get().pk}/"
    part = olga.get(path, headers={"HX-Request": "true"}).content.decode()
    assert "every 1s" in part
    assert "<html" not in part


def test_the_export_holds_everybody(site: Site) -> None:
    answer = site.as_("olga").get(f"{site.url}members/export/")
    text = b"".join(answer).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert {row[0] for row in rows[1:]} == {OLGA, MORI, SAM}
    assert answer["Content-Type"].startswith("text/csv")
