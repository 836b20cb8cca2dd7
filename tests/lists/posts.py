"""Makers for tests on posts. Olga owns the list, mori moderates, sam is
subscribed, nick is not.
"""

from __future__ import annotations

import hashlib
from typing import Any

from lists.models import MailingList, Post, Subscriber, Subscription
from lists.posting import actions as posting
from smtpd import facts as facts_of
from smtpd.facts import Facts
from smtpd.models import Address, Domain, Message

OLGA = "olga@people.test"
MORI = "mori@people.test"
SAM = "sam@people.test"
NICK = "nick@elsewhere.test"


def make_mail(*extra: str, author: str = SAM, body: str = "Hello\r\n") -> bytes:
    """A plain mail; `extra` are whole header fields without CRLF."""
    names = {line.partition(":")[0].lower() for line in extra}
    usual = (
        f"From: {author}",
        "To: talk@lists.test",
        "Subject: hi",
        "Message-ID: <1@people.test>",
    )
    kept = [line for line in usual if line.partition(":")[0].lower() not in names]
    return "\r\n".join([*kept, *extra, "", body]).encode()


def read(raw: bytes, *, reverse_path: str = SAM) -> Facts:
    return facts_of.read(raw, reverse_path=reverse_path)


def make_list(name: str = "talk", **settings: Any) -> MailingList:
    domain, _ = Domain.objects.get_or_create(name="lists.test")
    address = Address.objects.create(
        domain=domain, local_part=name, kind=Address.Kind.LIST
    )
    return MailingList.objects.create(
        address=address, name=settings.pop("title", "Talk"), **settings
    )


def subscribe(mlist: MailingList, address: str, **settings: Any) -> Subscription:
    subscriber, _ = Subscriber.objects.get_or_create(
        folded=address.lower(),
        defaults={"address": address, "domain": address.partition("@")[2]},
    )
    return Subscription.objects.create(
        mailing_list=mlist, subscriber=subscriber, **settings
    )


def make_people(mlist: MailingList) -> None:
    subscribe(mlist, OLGA, role=Subscription.Role.OWNER)
    subscribe(mlist, MORI, role=Subscription.Role.MODERATOR)
    subscribe(mlist, SAM)


def store(raw: bytes, *, reverse_path: str = SAM) -> tuple[Message, Facts]:
    """A message as intake stores it."""
    facts = read(raw, reverse_path=reverse_path)
    message = Message.objects.create(
        reverse_path=reverse_path,
        msg_id=facts.msg_id,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        body_at=facts.body_at,
        trace=b"Received: from a by mx.lists.test; Mon, 1 Jun 2026 10:00:00 +0000\r\n",
        raw=raw,
    )
    return message, facts


def post_to(mlist: MailingList, raw: bytes, *, reverse_path: str = SAM) -> Post:
    """Judge and take a message as the door does."""
    message, facts = store(raw, reverse_path=reverse_path)
    return posting.take(mlist, message, facts, posting.judge(mlist.address_id, facts))
