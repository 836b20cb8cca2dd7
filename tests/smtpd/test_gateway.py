"""Mail that enters by the web: routed, judged and stored as if it came by SMTP."""

from __future__ import annotations

import re
from typing import Any

import pytest

from project.models import User
from smtpd import gateway, paths
from smtpd.draft import Draft
from smtpd.models import Address, Domain, Message
from smtpd.traces import read_trace
from tests.lists.posts import NICK, SAM, make_list, make_people

pytestmark = [pytest.mark.django_db(transaction=True)]

# RFC 5321 4.4 Time-stamp-line, as far as ours goes; comments where CFWS may be.
FWS, COMMENT = r"(?:\r\n)?[ \t]", r"\([^()\\]*\)"
CFWS = rf"(?:(?:{FWS})+(?:{COMMENT}(?:{FWS})+)?)"
DOMAIN = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d"
STAMP = re.compile(
    rf"Received:{FWS}from {DOMAIN}{CFWS}by {DOMAIN}"
    rf"(?:{CFWS}via [A-Za-z0-9-]+)?(?:{CFWS}with [A-Za-z0-9]+)?"
    rf"(?:{CFWS}id [A-Za-z0-9]+)?(?:{CFWS}for <[^<> ]+@[^<> ]+>)?"
    rf"(?:{CFWS})?; {DAY} [+-]\d{{4}}\r\n"
)


def write(**changes: Any) -> str:
    usual: dict[str, Any] = {
        "author": paths.mailbox(SAM),
        "to": paths.mailbox("talk@lists.test"),
        "subject": "Beans",
        "text": "Good morning.",
        "msg_id": "<1@lists.test>",
    }
    user, _ = User.objects.get_or_create(email=SAM)
    return str(gateway.accept(Draft(**(usual | changes)), by=user.pk))


@pytest.fixture(autouse=True)
def _talk() -> None:
    make_people(make_list(others="refuse"))


def test_a_member_posts_by_the_web() -> None:
    assert write().startswith("250 2.0.0")
    message = Message.objects.get()
    assert message.source == Message.Source.WEB
    assert message.submitter
    assert message.submitter.email == SAM
    assert (message.author, message.reverse_path) == (SAM, SAM)
    assert message.forward_paths == ["talk@lists.test"]
    assert message.posts.get().state == "accepted"
    story = read_trace(message).timeline
    assert [event.kind for event in story] == ["received", "accepted"]
    assert story[0].text == f"Written on the web by {SAM} for talk@lists.test."


def test_the_trace_field_says_that_it_came_by_the_web() -> None:
    write()
    message = Message.objects.get()
    trace = bytes(message.trace).decode()
    assert STAMP.fullmatch(trace), trace
    assert f"(Folkmoot, via HTTP) id {message.key}" in trace
    assert "for <talk@lists.test>" in trace
    # There was none before it, and none is in what the author wrote.
    assert b"received:" not in bytes(message.raw).lower()


def test_a_refusal_stores_nothing() -> None:
    assert write(author=paths.mailbox(NICK)).startswith("550 5.7.1")
    assert not Message.objects.exists()


def test_nobody_is_there() -> None:
    assert write(to=paths.mailbox("none@lists.test")).startswith("550 5.1.1")
    assert write(to=paths.mailbox("x@elsewhere.test")).startswith("550 5.7.1")
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "author",
    ["talk@lists.test", "Talk@Lists.test", "root@localhost", "sam@[192.0.2.1]"],
)
def test_the_author_is_somebody_who_can_be_answered(author: str) -> None:
    """RFC 5321 3.7.4 and 3.7.5."""
    assert gateway.mailbox(author) is None
    assert write(author=paths.mailbox(author)).startswith("553 5.1.7")
    assert not Message.objects.exists()


def test_an_alias_may_write() -> None:
    domain = Domain.objects.get(name="lists.test")
    Address.objects.create(domain=domain, local_part="sam", kind=Address.Kind.ALIAS)
    assert gateway.mailbox("sam@lists.test") == paths.mailbox("sam@lists.test")
    assert gateway.mailbox("no mailbox") is None
