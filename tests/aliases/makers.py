"""Makers for tests on aliases. People live at people.test, we at lists.test."""

from __future__ import annotations

from typing import Any

from lists.actions import create_list
from lists.models import MailingList
from lists.subscriptions.actions import join
from project.hosting import host_domain
from project.models import User
from smtpd import intake, paths, routing
from smtpd.envelope import Envelope
from smtpd.models import Delivery, Domain, Message
from smtpd.replies import Reply
from smtpd.routing import Route

OLGA = "olga@people.test"
SAM = "sam@people.test"
NICK = "nick@elsewhere.test"

MAIL = (
    b"Received: from a by b; Mon, 1 Jun 2026 10:00:00 +0000\r\n"
    b"From: Nick <nick@elsewhere.test>\r\n"
    b"TO:  team@lists.test,\r\n\tother@people.test\r\n"
    b"Subject:   odd   spaces \r\n"
    b"Message-ID: <1@elsewhere.test>\r\n"
    b"\r\n"
    b".dot\r\nlast line\r\n"
)


def make_domain(name: str = "lists.test") -> Domain:
    return host_domain(name, dkim="")


def make_list(address: str, *people: str, **settings: object) -> MailingList:
    mlist = create_list(address, "Talk", owner=OLGA, **settings)
    for person in people:
        join(mlist, person)
    return mlist


def make_admin(email: str = "root@people.test") -> User:
    return User.objects.create_superuser(email)


def resolve(mailbox: str) -> Route | Reply:
    return routing.resolve(paths.mailbox(mailbox))


def send(
    *recipients: str, raw: bytes = MAIL, sender: str = NICK, **asked: Any
) -> Reply:
    """All of a session: RCPT for each recipient, then DATA."""
    envelope = Envelope(sender, peer="192.0.2.1", helo="client.test", **asked)
    for recipient in recipients:
        found = resolve(recipient)
        if isinstance(found, Reply):
            return found
        envelope.routes.append(found)
        envelope.forward_paths.append(recipient)
    return intake.accept(envelope, raw)


def sent_to() -> list[str]:
    """Every recipient in the ledger, in order, repeats and all."""
    return sorted(Delivery.objects.values_list("address", flat=True))


def copy_of(message: Message) -> bytes:
    """The bytes that go over the wire to the targets, before dot-stuffing."""
    outgoing = message.outgoings.get()
    assert outgoing.body is None
    return bytes(outgoing.head) + b"\r\n" + bytes(message.raw)[message.body_at :]
