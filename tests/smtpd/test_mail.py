"""Django's e-mail goes through our own queue."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.db import transaction

from smtpd.models import Delivery, Domain, Message, Outgoing
from tests.sink import Sink
from tests.smtpd.sending import run, working

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "smtpd.queue.mail.EmailBackend"


def send(notice: EmailMessage) -> int:
    return get_connection(BACKEND).send_messages([notice])


def make_notice(**told: Any) -> EmailMultiAlternatives:
    fields: dict[str, Any] = {
        "subject": "Caf\u00e9",
        "body": "Hello\n.\nBye",
        "from_email": "Tea <talk@lists.test>",
        "to": ["sam@home.test"],
    } | told
    return EmailMultiAlternatives(**fields)


def test_notice_arrives() -> None:
    assert settings.EMAIL_BACKEND
    assert send(make_notice(bcc=["mori@home.test"])) == 1
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert sorted(sink.recipients()) == ["mori@home.test", "sam@home.test"]
    message = sink.messages[0]
    assert message.sender == ""
    assert b"mori" not in message.raw
    assert b"Auto-Submitted: auto-generated\r\n" in message.raw
    assert message.raw.endswith(b"\r\n\r\nHello\r\n.\r\nBye\r\n")
    stored = Message.objects.get()
    assert (stored.source, stored.subject) == ("site", "Caf\u00e9")
    assert stored.msg_id.encode() in message.raw
    assert stored.msg_id.endswith("@lists.test>")
    assert Outgoing.objects.get().lane == Outgoing.Lane.FAST


def test_addresses_outside_ascii_stay_as_they_are() -> None:
    """RFC 6532 3.2; an encoded word in an address names somebody else."""
    told = {
        "from_email": '"Grüße, und mehr" <grüße-owner@lists.test>',
        "to": ["jörg@home.test", "sam@home.test"],
        "headers": {"Reply-To": "grüße@lists.test"},
    }
    send(make_notice(**told))
    with Sink() as sink, working(sink) as worker:
        run(worker)
    assert sorted(sink.recipients()) == ["jörg@home.test", "sam@home.test"]
    for message in sink.messages:
        assert message.parameters.endswith(" SMTPUTF8")
        lines = message.raw.decode().split("\r\n")
        assert "To: jörg@home.test, sam@home.test" in lines
        assert "Reply-To: grüße@lists.test" in lines
        (author,) = [line for line in lines if line.startswith("From: =?utf-8?")]
        assert author.endswith(" <grüße-owner@lists.test>")
        assert sum(line.startswith(("From:", "To:")) for line in lines) == 2


def test_a_control_character_in_such_an_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="control characters"):
        send(make_notice(to=["j\x01ö@home.test"]))


def test_notice_is_signed_by_the_domain_it_is_from() -> None:
    domain = Domain.objects.create(name="lists.test", dkim_key="a key")
    send(make_notice())
    send(make_notice(from_email="talk@elsewhere.test"))
    assert [row.dkim_domain for row in Outgoing.objects.order_by("id")] == [
        domain,
        None,
    ]


def test_8bit_notice_says_so() -> None:
    send(make_notice(body="Gr\u00fc\u00dfe"))
    assert Outgoing.objects.get().needs_8bit


def test_notice_lives_and_dies_with_the_transaction() -> None:
    with transaction.atomic():
        send(make_notice())
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    "told",
    [
        {"subject": "a\r\nBcc: nick@evil.test"},
        {"subject": "a\x00b"},
        {"headers": {"X-Name": "a\x1b[31m"}},
    ],
)
def test_control_characters_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        send(make_notice(**told))
    assert not Message.objects.exists()


def test_notice_to_nobody_is_none() -> None:
    assert send(make_notice(to=[])) == 0
    assert not Message.objects.exists()
