from __future__ import annotations

import pytest
from django.test import Client

from aliases import actions as aliases
from lists.delivery.actions import fan_out
from lists.models import MailingList, Post
from lists.subscriptions.actions import join
from smtpd.domains.actions import make_key
from smtpd.models import Delivery, Domain, Message
from tests.aliases.makers import MAIL, NICK, OLGA, SAM, make_domain, make_list, send
from tests.people import signed_in

pytestmark = pytest.mark.django_db

MORI = "mori@people.test"


@pytest.fixture
def domain() -> Domain:
    return make_domain()


@pytest.fixture
def talk(domain: Domain) -> MailingList:
    mlist = make_list("talk@lists.test", SAM, posters="anyone")
    join(mlist, MORI, role="moderator")
    return mlist


@pytest.fixture
def message(talk: MailingList) -> Message:
    """A post that is on its way to olga, sam and mori."""
    assert send("talk@lists.test").is_positive
    fan_out(Post.objects.get().pk)
    return Message.objects.get(source="smtp")


@pytest.fixture
def site() -> Client:
    return signed_in("root@people.test", admin=True)


# --- traces -------------------------------------------------------------------


def test_the_trace_tells_the_story_and_every_recipient(
    site: Client, message: Message
) -> None:
    Delivery.objects.filter(address=SAM).update(
        state="failed", code=550, enhanced="5.1.1", text="<b>unknown", host="mx.test"
    )
    page = site.get(f"/messages/{message.key}/").content.decode()
    for words in ("550 5.1.1", "&lt;b&gt;unknown", "mx.test", SAM, OLGA, "frozen to 3"):
        assert words in page


@pytest.mark.parametrize(
    ("who", "status"), [(OLGA, 200), (MORI, 200), (SAM, 200), (NICK, 404)]
)
def test_who_may_read_a_trace(message: Message, who: str, status: int) -> None:
    assert signed_in(who).get(f"/messages/{message.key}/").status_code == status
    assert Client().get(f"/messages/{message.key}/").status_code == 302


def test_a_member_sees_their_own_copy_alone(message: Message) -> None:
    page = signed_in(SAM).get(f"/messages/{message.key}/").content.decode()
    assert SAM in page
    assert MORI not in page
    assert "frozen to" not in page


def test_an_admin_of_another_domain_sees_nothing(message: Message) -> None:
    other = signed_in(NICK, runs=make_domain("other.test"))
    assert other.get(f"/messages/{message.key}/").status_code == 404
    assert other.get("/messages/?q=spaces").context["rows"] == []


def test_the_ledger_is_filtered_by_state(site: Client, message: Message) -> None:
    Delivery.objects.filter(address=SAM).update(state="sent")
    path = f"/messages/{message.key}/"
    assert [r.address for r in site.get(f"{path}?state=sent").context["page"]] == [SAM]
    assert len(site.get(f"{path}?state=nonsense").context["page"]) == 3


def test_only_what_still_changes_asks_again(site: Client, message: Message) -> None:
    path = f"/messages/{message.key}/"
    part = site.get(path, headers={"HX-Target": "story"}).content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every 3s"' in part
    Delivery.objects.update(state="sent")
    assert "hx-trigger" not in site.get(path).content.decode()


@pytest.mark.parametrize("words", ["odd", NICK])
def test_messages_are_found_by_subject_and_sender(message: Message, words: str) -> None:
    assert len(signed_in(MORI).get("/messages/", {"q": words}).context["rows"]) == 1
    assert signed_in(NICK).get("/messages/", {"q": words}).context["rows"] == []


@pytest.mark.parametrize("bare", [True, False])
def test_a_message_id_or_key_leads_to_the_trace(
    site: Client, message: Message, bare: bool
) -> None:
    to = f"/messages/{message.key}/"
    name = "1@elsewhere.test" if bare else "<1@elsewhere.test>"
    assert site.get("/messages/", {"q": name}).headers["Location"] == to
    assert site.get("/messages/", {"q": message.key}).headers["Location"] == to


# --- explain ------------------------------------------------------------------


def test_explain_says_who_would_get_it(site: Client, talk: MailingList) -> None:
    aliases.create("all@lists.test", [NICK, "talk@lists.test"])
    context = site.get("/explain/", {"address": "all@lists.test"}).context
    assert context["reach"].people == [NICK]
    assert context["reach"].lists == [(talk, 3)]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nobody@lists.test", "550 5.1.1"),
        ("x@foreign.test", "550 5.7.1"),
        ("talk-owner@lists.test", "the owners of the list"),
        ("not an address", "not an e-mail address"),
        ("<script>@lists.test", "not an e-mail address"),
    ],
)
def test_explain_has_an_answer_to_everything(
    site: Client, talk: MailingList, address: str, words: str
) -> None:
    page = site.get("/explain/", {"address": address}).content.decode()
    assert words in page
    assert "<script>@" not in page


def test_explain_keeps_to_the_domains_one_runs(talk: MailingList) -> None:
    other = signed_in(NICK, runs=make_domain("other.test"))
    page = other.get("/explain/", {"address": "talk@lists.test"})
    assert "steps" not in page.context
    assert signed_in(SAM).get("/explain/").status_code == 404


# --- domains ------------------------------------------------------------------


def test_a_site_admin_adds_a_domain_with_key_and_postmaster(site: Client) -> None:
    answer = site.post("/domains/new/", {"name": "New.Example.", "dkim": "ed25519"})
    assert answer.headers["Location"] == "/domains/new.example/"
    made = Domain.objects.get(name="new.example")
    assert made.dkim_key
    assert made.addresses.filter(local_part="postmaster").exists()


def test_a_domain_that_is_here_is_said_so(site: Client, domain: Domain) -> None:
    answer = site.post("/domains/new/", {"name": "lists.test", "dkim": ""})
    assert "already a domain" in answer.context["form"].errors["name"][0]


def test_the_records_to_publish_are_shown(site: Client, domain: Domain) -> None:
    domain.dkim_key = make_key("ed25519")
    domain.save()
    page = site.get("/domains/lists.test/").content.decode()
    for words in (
        "v=spf1",
        "v=DKIM1; k=ed25519",
        "v=DMARC1",
        "_domainkey",
        "Without it",
    ):
        assert words in page


@pytest.mark.parametrize("path", ["", "switch/", "admins/", "admins/1/"])
def test_a_domain_is_its_admins_business(domain: Domain, path: str) -> None:
    other = signed_in(NICK, runs=make_domain("other.test"))
    full = f"/domains/lists.test/{path}"
    answer = other.post(full, {"to": "closed"}) if path else other.get(full)
    assert answer.status_code == 404
    domain.refresh_from_db()
    assert domain.is_active
    olga = signed_in(OLGA, runs=domain)
    assert olga.get("/domains/lists.test/").status_code == 200
    assert olga.get("/domains/new/").status_code == 404
    if path:
        assert olga.get(full).status_code == 405


def test_closing_and_opening(domain: Domain) -> None:
    olga = signed_in(OLGA, runs=domain)
    for to, active in (("closed", False), ("open", True)):
        olga.post("/domains/lists.test/switch/", {"to": to})
        domain.refresh_from_db()
        assert domain.is_active is active


def test_admins_are_appointed_and_dismissed(domain: Domain) -> None:
    olga = signed_in(OLGA, runs=domain)
    olga.post("/domains/lists.test/admins/", {"email": "Mori@People.test"})
    mori = domain.admins.get(email=MORI)
    assert not mori.has_usable_password()
    olga.post(f"/domains/lists.test/admins/{mori.pk}/")
    assert not domain.admins.filter(email=MORI).exists()


def test_nobody_locks_themselves_out(domain: Domain) -> None:
    olga = signed_in(OLGA, runs=domain)
    me = domain.admins.get()
    page = olga.post(f"/domains/lists.test/admins/{me.pk}/", follow=True)
    assert "Ask another admin" in page.content.decode()
    assert domain.admins.filter(pk=me.pk).exists()


def test_a_list_becomes_an_alias_only_when_losses_are_agreed_to(
    message: Message, talk: MailingList
) -> None:
    olga = signed_in(OLGA)
    asked = olga.post("/convert/talk@lists.test/")
    assert "1 past posts" in asked.content.decode()
    assert MailingList.objects.filter(pk=talk.pk).exists()
    done = olga.post("/convert/talk@lists.test/", {"sure": "1"})
    assert done.headers["Location"] == "/"
    assert not MailingList.objects.filter(pk=talk.pk).exists()
    assert signed_in(NICK).post("/convert/talk@lists.test/").status_code == 404


def test_mail_from_outside_cannot_write_html_into_the_pages(
    site: Client, talk: MailingList
) -> None:
    raw = MAIL.replace(b"odd   spaces", b"<script>alert(1)</script>")
    assert send("talk@lists.test", raw=raw).is_positive
    message = Message.objects.get(source="smtp")
    for path in ("/messages/", f"/messages/{message.key}/", "/queue/?state=any"):
        assert "<script>alert" not in site.get(path).content.decode()
