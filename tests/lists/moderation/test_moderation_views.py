"""The moderation queue in the browser."""

from __future__ import annotations

import pytest

from lists.models import Post
from lists.moderation import actions
from tests.lists.posts import NICK, make_mail, post_to
from tests.lists.site import Site, make_site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_mail")]


@pytest.fixture
def site() -> Site:
    return make_site()


def hold(site: Site, number: int, body: str = "May I?\r\n") -> Post:
    headers = (f"Message-ID: <{number}@x.test>", f"Subject: Question {number}")
    post = post_to(
        site.mlist, make_mail(*headers, author=NICK, body=body), reverse_path=NICK
    )
    assert post.state == "held"
    return post


def page_of(site: Site, post: Post) -> str:
    return f"{site.url}moderation/{post.pk}/"


def state(post: Post) -> str:
    return Post.objects.get(pk=post.pk).state


def test_a_moderator_reads_a_held_post(site: Site) -> None:
    post = hold(site, 1, "May I <b>bring</b> Bea?\r\n")
    page = site.as_("mori").get(page_of(site, post)).content.decode()
    assert "May I &lt;b&gt;bring&lt;/b&gt; Bea?" in page
    assert "not subscribed" in page


def test_html_is_shown_as_words_without_scripts(site: Site) -> None:
    raw = make_mail(
        "Content-Type: text/html",
        author=NICK,
        body="<script>alert(1)</script><p>Fish &amp; chips</p>",
    )
    post = post_to(site.mlist, raw, reverse_path=NICK)
    page = site.as_("mori").get(page_of(site, post)).content.decode()
    assert "Fish &amp; chips" in page
    assert "alert(1)" not in page


@pytest.mark.parametrize("who", ["sam", "nick", ""])
def test_others_than_moderators_get_404(site: Site, who: str) -> None:
    post = hold(site, 1)
    client = site.as_(who)
    assert client.get(page_of(site, post)).status_code == 404
    answer = client.post(page_of(site, post), {"decision": "approve"})
    assert answer.status_code == 404
    assert state(post) == "held"


def test_reading_decides_nothing(site: Site) -> None:
    post = hold(site, 1)
    site.as_("mori").get(page_of(site, post), {"decision": "approve"})
    assert state(post) == "held"


@pytest.mark.parametrize(
    ("decision", "becomes"),
    [("approve", "accepted"), ("reject", "rejected"), ("discard", "discarded")],
)
def test_each_button_decides_and_opens_the_next(
    site: Site, decision: str, becomes: str
) -> None:
    first, second = hold(site, 1), hold(site, 2)
    answer = site.as_("mori").post(
        page_of(site, first), {"decision": decision, "reason": "Not here"}
    )
    assert state(first) == becomes
    assert answer["Location"] == page_of(site, second)


def test_after_the_last_one_comes_the_queue(site: Site) -> None:
    post = hold(site, 1)
    answer = site.as_("mori").post(page_of(site, post), {"decision": "discard"})
    assert answer["Location"] == f"{site.url}moderation/"


def test_the_second_moderator_learns_who_was_faster(site: Site) -> None:
    post = hold(site, 1)
    mori, olga = site.as_("mori"), site.as_("olga")
    mori.post(page_of(site, post), {"decision": "discard"})
    answer = olga.post(page_of(site, post), {"decision": "approve"}, follow=True)
    assert state(post) == "discarded"
    assert "Already discarded by mori@people.test" in answer.content.decode()


def test_several_are_decided_at_once(site: Site) -> None:
    first, second, third = hold(site, 1), hold(site, 2), hold(site, 3)
    actions.discard(third, by=None)
    answer = site.as_("mori").post(
        f"{site.url}moderation/",
        {"decision": "approve", "posts": [first.pk, third.pk]},
        follow=True,
    )
    assert (state(first), state(second), state(third)) == (
        "accepted",
        "held",
        "discarded",
    )
    assert "1 had been decided" in answer.content.decode()


def test_picking_nothing_decides_nothing(site: Site) -> None:
    post = hold(site, 1)
    answer = site.as_("mori").post(
        f"{site.url}moderation/", {"decision": "approve"}, follow=True
    )
    assert "at least one" in answer.content.decode()
    assert state(post) == "held"


def test_posts_of_another_list_are_out_of_reach(site: Site) -> None:
    other = make_site(name="other")
    other.mlist.subscriptions.all().delete()
    post = hold(other, 1)
    mori = site.as_("mori")
    mori.post(f"{site.url}moderation/", {"decision": "approve", "posts": [post.pk]})
    assert mori.get(f"{site.url}moderation/{post.pk}/").status_code == 404
    assert state(post) == "held"


def test_one_page_shows_what_is_held_on_all_my_lists(site: Site) -> None:
    other = make_site(name="other", title="Other")
    hold(site, 1)
    hold(other, 2)
    page = site.as_("mori").get("/moderation/").content.decode()
    assert "Question 1" in page
    assert "Question 2" in page
    assert "Question" not in site.as_("sam").get("/moderation/").content.decode()
    assert site.as_("").get("/moderation/").status_code == 302
