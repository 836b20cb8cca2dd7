from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import Settings

from smtpd.models import Copy, Domain
from tests.people import signed_in

pytestmark = pytest.mark.django_db

RAW = (
    b"Subject: hi\r\nContent-Type: text/html\r\n\r\n"
    b"<p>hello</p><script>alert(1)</script>"
)


def keep(to: str, reverse_path: str = "", raw: bytes = RAW) -> Copy:
    return Copy.objects.create(
        forward_path=to, reverse_path=reverse_path, subject="hi", size=9, raw=raw
    )


@pytest.fixture
def domain() -> Domain:
    return Domain.objects.create(name="lists.test")


def seen_by(client: Client, copy: Copy) -> bool:
    found = client.get("/mailbox/").context["page"].object_list
    answers = {
        client.get(f"/mailbox/{copy.pk}/{part}").status_code
        for part in ("", "html/", "raw/")
    }
    assert answers == ({200} if copy in list(found) else {404})
    return copy in list(found)


def test_who_may_read_which_copy(domain: Domain) -> None:
    listed = keep("sam@x.test", "bounces+t@lists.test")
    code = keep("sam@x.test")
    site, owner = signed_in("a@x.test", admin=True), signed_in("o@x.test", runs=domain)
    sam, nick = signed_in("sam@x.test"), signed_in("nick@x.test")
    assert [seen_by(who, listed) for who in (site, owner, sam, nick)] == [
        True,
        True,
        True,
        False,
    ]
    assert [seen_by(who, code) for who in (site, owner, sam, nick)] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("part", ["", "html/", "raw/"])
def test_the_signed_out_are_asked_to_sign_in(part: str) -> None:
    copy = keep("sam@x.test")
    assert Client().get(f"/mailbox/{copy.pk}/{part}").status_code == 302


def test_html_comes_clean_and_shut_in() -> None:
    answer = signed_in("sam@x.test").get(f"/mailbox/{keep('sam@x.test').pk}/html/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("; sandbox")
    assert "allow-same-origin" not in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    page = answer.content.decode()
    assert "<p>hello</p>" in page
    assert "alert" not in page


def test_the_source_is_plain_text_byte_for_byte() -> None:
    raw = b"Subject: x\r\n\r\n<script>\xff\x00"
    answer = signed_in("sam@x.test").get(
        f"/mailbox/{keep('sam@x.test', raw=raw).pk}/raw/"
    )
    assert answer.content == raw
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_frames_html_and_shows_links_of_text() -> None:
    text = b"Subject: c\r\n\r\nhttp://testserver/confirm/abc <script>alert(1)</script>"
    sam = signed_in("sam@x.test")
    framed = sam.get(f"/mailbox/{keep('sam@x.test').pk}/").content.decode()
    assert re.search(r"\ssandbox\s", framed)
    assert "allow-" not in framed
    page = sam.get(f"/mailbox/{keep('sam@x.test', raw=text).pk}/").content.decode()
    assert 'href="http://testserver/confirm/abc"' in page
    assert "<script>alert" not in page


def test_one_click_is_offered_for_our_own_links_alone(
    settings: Settings,
) -> None:
    settings.BASE_URL = "http://testserver"
    head = (
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Unsubscribe: <%s>"
    )
    sam = signed_in("sam@x.test")
    ours = keep("sam@x.test", raw=head % b"http://testserver/u/t" + b"\r\n\r\nx")
    other = keep("sam@x.test", raw=head % b"http://evil.test/u/t" + b"\r\n\r\nx")
    offer = "Unsubscribe in one click"
    assert offer in sam.get(f"/mailbox/{ours.pk}/").content.decode()
    assert offer not in sam.get(f"/mailbox/{other.pk}/").content.decode()


def test_every_word_searched_for_must_occur() -> None:
    keep("sam@x.test")
    keep("nick@x.test")
    site = signed_in("a@x.test", admin=True)
    assert site.get("/mailbox/?q=sam+hi").context["page"].paginator.count == 1
    assert "No copy has" in site.get("/mailbox/?q=zebra").content.decode()


def test_without_the_relay_mailbox_the_page_says_where_mail_goes(
    settings: Settings,
) -> None:
    settings.RELAY = "smart.test:25"
    page = signed_in("a@x.test", admin=True).get("/mailbox/").content.decode()
    assert "smart.test:25" in page
