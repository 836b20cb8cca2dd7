"""Writing to a list on its page: what is sent, held and refused, and only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from lists.models import MailingList, Post, Subscriber, Subscription
from lists.posting import writing
from project.models import User
from smtpd.models import Address, Message
from tests.lists.posts import NICK, SAM, make_mail, post_to, subscribe
from tests.lists.site import Site, make_site
from tests.people import signed_in

pytestmark = [pytest.mark.django_db(transaction=True)]
TEXT = "Shall we plant beans?\n\nSam"


@pytest.fixture
def site() -> Site:
    return make_site(is_archived=True)


def fill(browser: Client, url: str, **changes: str) -> dict[str, str]:
    """What the page's form would send."""
    page = browser.get(url)
    assert page.status_code == 200
    return {
        "subject": "Beans",
        "text": TEXT,
        "ticket": page.context["ticket"],
        **changes,
    }


def send(browser: Client, url: str, **changes: str) -> Any:
    return browser.post(url, fill(browser, url, **changes), follow=True)


def said(answer: Any) -> str:
    return str(answer.content, "utf-8")


def test_a_member_writes_and_it_is_a_post(site: Site) -> None:
    answer = send(site.as_("sam"), f"{site.url}write/")
    post = site.mlist.posts.get()
    assert answer.redirect_chain == [(f"{site.url}posts/{post.pk}/", 302)]
    assert "on its way" in said(answer)
    assert "Shall we plant beans?" in said(answer)
    assert (post.state, post.author, post.subject) == ("accepted", SAM, "Beans")
    assert post.message.source == Message.Source.WEB
    assert post.message.submitter == User.objects.get(email=SAM)
    assert post.msg_id.endswith("@lists.test>")


def test_the_form_is_for_those_who_are_signed_in(site: Site) -> None:
    answer = Client().get(f"{site.url}write/")
    assert answer.status_code == 302
    assert "/accounts/login/" in answer["Location"]


def test_a_private_list_has_no_form_for_strangers() -> None:
    site = make_site(is_public=False)
    assert site.as_("nick").get(f"{site.url}write/").status_code == 404
    assert site.as_("sam").get(f"{site.url}write/").status_code == 200


def test_what_is_held_is_told_before_and_after(site: Site) -> None:
    nick = site.as_("nick")
    assert "will wait for a moderator" in said(nick.get(f"{site.url}write/"))
    answer = send(nick, f"{site.url}write/")
    assert site.mlist.posts.get().state == "held"
    assert answer.redirect_chain == [(site.url, 302)]
    assert "waits for a moderator" in said(answer)
    assert "not subscribed" in said(answer)


def test_a_refusal_keeps_the_text_and_says_why(site: Site) -> None:
    MailingList.objects.update(others="refuse")
    nick = site.as_("nick")
    answer = send(nick, f"{site.url}write/")
    assert answer.status_code == 200
    assert "It was not sent" in said(answer)
    assert "not subscribed" in said(answer)
    assert "Shall we plant beans?" in said(answer)
    assert "550" not in said(answer)
    assert not Message.objects.exists()
    # The same form is good for another try.
    subscribe(site.mlist, NICK)
    again = {"subject": "Beans", "text": TEXT, "ticket": answer.context["ticket"]}
    assert "on its way" in said(nick.post(f"{site.url}write/", again, follow=True))


def test_a_closed_list_refuses_and_shows_no_button(site: Site) -> None:
    Address.objects.update(is_enabled=False)
    sam = site.as_("sam")
    assert "write/" not in said(sam.get(site.url))
    assert "takes no mail" in said(send(sam, f"{site.url}write/"))
    assert not Message.objects.exists()


def test_who_would_be_refused_sees_no_button(site: Site) -> None:
    MailingList.objects.update(posters="owners", others="refuse")
    assert "write/" in said(site.as_("olga").get(site.url))
    for who in ("sam", "nick", ""):
        assert "write/" not in said(site.as_(who).get(site.url))


def test_a_member_whose_posts_are_held_is_held_here_too(site: Site) -> None:
    Subscription.objects.filter(subscriber__folded=SAM).update(posting="held")
    send(site.as_("sam"), f"{site.url}write/")
    assert site.mlist.posts.get().state == "held"


def test_the_button_pressed_twice_sends_once(site: Site) -> None:
    sam = site.as_("sam")
    form = fill(sam, f"{site.url}write/")
    first = sam.post(f"{site.url}write/", form)
    second = sam.post(f"{site.url}write/", form, follow=True)
    assert second.redirect_chain == [(first["Location"], 302)]
    assert "not sent twice" in said(second)
    assert Message.objects.count() == site.mlist.posts.count() == 1


def test_a_double_click_sends_once(site: Site) -> None:
    browsers = [site.as_("sam") for _ in range(4)]
    form = fill(browsers[0], f"{site.url}write/")

    def press(browser: Client) -> str:
        try:
            return str(browser.post(f"{site.url}write/", form)["Location"])
        finally:
            connection.close()

    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = set(pool.map(press, browsers))
    post = site.mlist.posts.get()
    assert answers == {f"{site.url}posts/{post.pk}/"}


def test_back_and_other_words_asks_before_it_sends_a_second(site: Site) -> None:
    sam = site.as_("sam")
    form = fill(sam, f"{site.url}write/")
    sam.post(f"{site.url}write/", form)
    changed = sam.post(f"{site.url}write/", form | {"text": "Or peas?"})
    assert "another message" in said(changed)
    assert "Or peas?" in said(changed)
    assert Post.objects.count() == 1
    form = {"subject": "Beans", "text": "Or peas?", "ticket": changed.context["ticket"]}
    sam.post(f"{site.url}write/", form)
    assert Post.objects.count() == 2


@pytest.mark.parametrize("ticket", ["", "abc", "<1@lists.test>"])
def test_a_ticket_that_is_not_ours_sends_nothing(site: Site, ticket: str) -> None:
    answer = send(site.as_("sam"), f"{site.url}write/", ticket=ticket)
    assert "press Send again" in said(answer)
    assert answer.context["ticket"] not in ("", ticket)
    assert not Post.objects.exists()


def test_a_ticket_is_good_for_one_person_and_list(site: Site) -> None:
    other = make_site(name="news", title="News")
    ticket = fill(site.as_("olga"), f"{site.url}write/")["ticket"]
    send(site.as_("sam"), f"{site.url}write/", ticket=ticket)
    send(site.as_("olga"), f"{other.url}write/", ticket=ticket)
    assert not Post.objects.exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"subject": ""}, "required"),
        ({"text": " \n "}, "Write something first"),
        ({"subject": "a\r\nBcc: x@y.test"}, "U+000D"),
        ({"subject": "a\u202eb"}, "U+202E"),
        ({"text": "a\x1b[2Jb"}, "U+001B"),
        ({"text": "x" * (writing.MAX_TEXT + 1)}, "too long"),
    ],
)
def test_what_is_no_mail_is_not_sent(
    site: Site, changes: dict[str, str], why: str
) -> None:
    answer = send(site.as_("sam"), f"{site.url}write/", **changes)
    assert answer.status_code == 200
    assert why in said(answer)
    assert not Message.objects.exists()


def test_marks_of_direction_are_left_out(site: Site) -> None:
    send(site.as_("sam"), f"{site.url}write/", subject="\u200fGrüße\u200f")
    assert site.mlist.posts.get().subject == "Grüße"


def test_an_hour_has_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PER_HOUR", 2)
    for _ in range(2):
        send(site.as_("sam"), f"{site.url}write/")
    answer = send(site.as_("sam"), f"{site.url}write/")
    assert "within an hour" in said(answer)
    assert Post.objects.count() == 2
    send(site.as_("olga"), f"{site.url}write/")
    assert Post.objects.count() == 3


def test_an_answer_quotes_and_keeps_the_thread(site: Site) -> None:
    mail = make_mail(
        "Subject: Beans", "References: <0@people.test>", author=f"Olga <{SAM}>"
    )
    parent = post_to(site.mlist, mail)
    sam, url = site.as_("sam"), f"{site.url}posts/{parent.pk}/"
    assert f"{url}reply/" in said(sam.get(url))
    form = sam.get(f"{url}reply/").context["form"]
    assert form["subject"].value() == "Re: Beans"
    assert "Olga wrote:\n> Hello" in form["text"].value()
    answer = send(sam, f"{url}reply/", subject="Re: Beans", text="> Hello\n\nYes.")
    assert "on its way" in said(answer)
    raw = bytes(site.mlist.posts.get(subject="Re: Beans").message.raw)
    assert b"\r\nIn-Reply-To: <1@people.test>\r\n" in raw
    assert b"\r\nReferences: <0@people.test> <1@people.test>\r\n" in raw


def test_an_answer_is_for_those_who_see_the_post(site: Site) -> None:
    parent = post_to(site.mlist, make_mail())
    held = post_to(site.mlist, make_mail("Message-ID: <2@x>", author=NICK))
    url = f"{site.url}posts/{{}}/reply/"
    assert site.as_("nick").get(url.format(parent.pk)).status_code == 404
    assert site.as_("olga").get(url.format(held.pk)).status_code == 404
    MailingList.objects.update(is_archived=False)
    assert site.as_("sam").get(url.format(parent.pk)).status_code == 404
    assert site.as_("mori").get(url.format(parent.pk)).status_code == 200


def test_two_addresses_on_a_list_are_a_choice(site: Site) -> None:
    user = User.objects.create_user("sam@home.test", name="Sam Green")
    for address in ("sam@home.test", "sam@work.test"):
        subscribe(site.mlist, address)
    Subscriber.objects.filter(folded="sam@work.test").update(user=user)
    browser = signed_in("sam@home.test")
    page = said(browser.get(f"{site.url}write/"))
    assert page.index("sam@home.test</option>") < page.index("sam@work.test</option>")
    send(browser, f"{site.url}write/", sender="sam@work.test")
    raw = bytes(site.mlist.posts.get().message.raw)
    assert raw.startswith(b"From: Sam Green <sam@work.test>\r\n")
    forged = send(browser, f"{site.url}write/", sender="olga@people.test")
    assert "It was not sent" in said(forged)
    assert Post.objects.count() == 1


def test_a_name_that_is_an_address_is_left_out(site: Site) -> None:
    User.objects.create_user(SAM, name="olga@people.test\r\nBcc: x")
    send(site.as_("sam"), f"{site.url}write/")
    assert bytes(site.mlist.posts.get().message.raw).startswith(b"From: sam@people")


def test_who_cannot_be_answered_is_told(site: Site) -> None:
    answer = signed_in("root@localhost").get(f"{site.url}write/")
    assert "Nobody could answer you" in said(answer)
    url = f"{site.url}write/"
    form = {"subject": "a", "text": "b", "ticket": answer.context["ticket"]}
    assert signed_in("root@localhost").post(url, form).status_code == 200
    assert not Message.objects.exists()
