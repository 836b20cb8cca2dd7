"""Posts that are stored together: the same rows by fewer statements."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lists.models import MailingList, Post
from smtpd import intake, routing
from smtpd.envelope import Envelope
from smtpd.gathering import gather
from smtpd.listener.writers import _together
from smtpd.models import Event, Message
from smtpd.paths import mailbox
from smtpd.pieces import LARGE
from smtpd.replies import Reply
from smtpd.routing import Route
from smtpd.statements import insert
from tests.lists.posts import SAM, make_list, make_mail, make_people

pytestmark = pytest.mark.django_db(transaction=True)

needs_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="only PostgreSQL gathers"
)


@pytest.fixture
def talk() -> MailingList:
    mlist = make_list()
    make_people(mlist)
    return mlist


def bring(*mails: bytes) -> list[Reply]:
    """Have them stored in one transaction."""
    route = routing.resolve(mailbox("talk@lists.test"))
    assert isinstance(route, Route)
    works = [
        partial(
            intake.accept,
            Envelope(SAM, routes=[route], forward_paths=["talk@lists.test"]),
            raw,
        )
        for raw in mails
    ]
    answers = _together(works)
    assert all(isinstance(answer, Reply) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Reply)]


def mail(number: int, body: str = "x") -> bytes:
    return make_mail(
        f"Message-ID: <{number}@people.test>", f"Subject: {number}", body=body
    )


@needs_postgres
def test_several_messages_need_as_many_inserts_as_one(talk: MailingList) -> None:
    bring(mail(100), mail(101))
    assert [reply.code for reply in bring(*map(mail, range(7)))] == [250] * 7
    assert Message.objects.count() == Post.objects.count() == 9
    # Rows of one statement have one number of a command, and its transaction.
    with connection.cursor() as cursor:
        for table in ("smtpd_message", "lists_post"):
            cursor.execute(f"SELECT DISTINCT xmin::text, cmin::text FROM {table}")
            assert len(cursor.fetchall()) == 2


def test_each_post_has_its_own_message(talk: MailingList) -> None:
    bring(*map(mail, range(5)))
    for post in Post.objects.select_related("message"):
        assert post.message is not None
        assert post.message.msg_id == post.msg_id
        assert f"Subject: {post.subject}\r\n".encode() in bytes(post.message.raw)


def test_the_same_message_twice_is_one_post(talk: MailingList) -> None:
    replies = bring(mail(1), mail(2), mail(1))
    assert [reply.code for reply in replies] == [250] * 3
    assert sorted(post.msg_id for post in Post.objects.all()) == [
        "<1@people.test>",
        "<2@people.test>",
    ]


def test_a_large_one_goes_with_others(talk: MailingList) -> None:
    large = "y" * 70 + "\r\n"
    body = large * (LARGE // len(large) + 1)
    bring(mail(1), mail(2, body), mail(3))
    found = Post.objects.get(msg_id="<2@people.test>").message
    assert found is not None
    assert bytes(found.raw) == mail(2, body)


@needs_postgres
def test_whoever_looks_finds_what_was_gathered(talk: MailingList) -> None:
    bring(mail(1))
    message = Message.objects.get()
    with gather(3):
        insert(Event(message=message, kind="k", text="one"))
        insert(Event(message=message, kind="k", text="two"))
        with CaptureQueriesContext(connection) as queries:
            texts = message.events.filter(kind="k").values_list("text", flat=True)
            assert list(texts) == ["one", "two"]
        assert len(queries) == 1


@needs_postgres
def test_what_fails_leaves_nothing_to_others(talk: MailingList) -> None:
    bring(mail(1))
    message = Message.objects.get()

    def fail() -> None:
        with gather(3):
            insert(Event(message=message, kind="lost", text="one"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    insert(Event(message=message, kind="kept", text="two"))
    kinds = message.events.filter(kind__in=("lost", "kept")).values_list(
        "kind", flat=True
    )
    assert list(kinds) == ["kept"]
