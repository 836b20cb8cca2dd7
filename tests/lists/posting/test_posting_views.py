"""The page of a list's posts."""

from __future__ import annotations

import pytest
from django.conf import settings

from lists.delivery.actions import fan_out
from lists.models import MailingList
from smtpd import backlog
from smtpd.models import Delivery
from tests.lists.posts import NICK, make_mail, post_to
from tests.lists.site import Site, make_site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def site() -> Site:
    site = make_site()
    post_to(site.mlist, make_mail("Subject: Beans"))
    held = make_mail("Subject: Tools", "Message-ID: <2@x.test>", author=NICK)
    post_to(site.mlist, held, reverse_path=NICK)
    return site


def test_moderators_see_every_state(site: Site) -> None:
    page = site.as_("mori").get(f"{site.url}posts/").content.decode()
    assert "Beans" in page
    assert "Tools" in page
    only = site.as_("mori").get(f"{site.url}posts/?state=held").content.decode()
    assert "Beans" not in only
    assert "Tools" in only


def test_members_read_accepted_posts_of_an_archive_only(site: Site) -> None:
    assert site.as_("sam").get(f"{site.url}posts/").status_code == 404
    MailingList.objects.update(is_archived=True)
    page = site.as_("sam").get(f"{site.url}posts/").content.decode()
    assert "Beans" in page
    assert "Tools" not in page
    assert site.as_("nick").get(f"{site.url}posts/").status_code == 404


def test_archived_at_leads_a_member_to_the_post(site: Site) -> None:
    beans, tools = (site.mlist.posts.get(subject=name) for name in ("Beans", "Tools"))
    assert site.as_("sam").get(f"{site.url}posts/{beans.pk}/").status_code == 404
    MailingList.objects.update(is_archived=True)
    fan_out(beans.pk)
    beans.refresh_from_db()
    assert beans.outgoing
    head = bytes(beans.outgoing.head).decode()
    url = f"{site.url}posts/{beans.pk}/"
    assert f"Archived-At: <{settings.BASE_URL}{url}>\r\n" in head
    page = site.as_("sam").get(url)
    assert page.status_code == 200
    assert "Hello" in page.content.decode()
    assert url in site.as_("sam").get(f"{site.url}posts/").content.decode()
    assert site.as_("nick").get(url).status_code == 404
    # Held: it is in no archive.
    assert site.as_("sam").get(f"{site.url}posts/{tools.pk}/").status_code == 404


def test_the_trace_is_linked_for_owners(site: Site) -> None:
    key = site.mlist.posts.get(subject="Beans").message.key
    assert (
        f"/messages/{key}/"
        in site.as_("olga").get(f"{site.url}posts/").content.decode()
    )


def test_moderators_read_why_copies_were_not_taken(site: Site) -> None:
    MailingList.objects.update(is_archived=True)
    beans = site.mlist.posts.get(subject="Beans")
    fan_out(beans.pk)
    copies = list(Delivery.objects.filter(outgoing__post=beans).order_by("pk"))
    assert len(copies) > 2
    full, sent = copies[:1], copies[1:]
    Delivery.objects.filter(pk=full[0].pk).update(state="failed", failure="full")
    Delivery.objects.filter(pk__in=[row.pk for row in sent]).update(state="sent")
    url = f"{site.url}posts/{beans.pk}/"
    page = site.as_("mori").get(url).content.decode()
    assert "Their mailbox is full" in page
    assert "1 failed" in page
    assert "mailbox is full" not in site.as_("sam").get(url).content.decode()


def test_moderators_see_how_far_a_post_is(site: Site) -> None:
    MailingList.objects.update(is_archived=True)
    beans = site.mlist.posts.get(subject="Beans")
    url = f"{site.url}posts/{beans.pk}/"
    part = {"HX-Target": "progress"}
    assert "Being made ready" in site.as_("mori").get(url).content.decode()
    count = fan_out(beans.pk)
    page = site.as_("mori").get(url, headers=part).content.decode()
    assert f"0 of {count} sent, {count} in line" in page
    assert "<html" not in page
    Delivery.objects.update(state="sent")
    backlog.forget()
    page = site.as_("mori").get(url, headers=part).content.decode()
    assert f"{count} of {count} sent" in page
    # Nothing changes any more, so nobody asks again.
    assert "hx-get" not in page
    assert "in line" not in site.as_("sam").get(url, headers=part).content.decode()
    assert 'id="progress"' not in site.as_("sam").get(url).content.decode()
