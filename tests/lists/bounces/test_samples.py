"""flufl.bounce's own samples, each come back to a valid token."""

from __future__ import annotations

from collections import Counter

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from lists import inbound
from lists.bounces.counting import count_fresh
from lists.models import Bounce, Subscription
from smtpd import facts as facts_of
from smtpd import tokens
from smtpd.models import Delivery, Domain, Message
from smtpd.routing import Route
from smtpd.tokens import Purpose
from smtpd.verdict import ACCEPT
from tests.lists.bounces.ledger import make_delivery
from tests.lists.bounces.samples import FAILED, NONE, PENDING, samples
from tests.lists.posts import make_list, subscribe

pytestmark = pytest.mark.django_db

# What a person who reads them would call them.
KINDS = {
    "postfix_01.txt": "hard",
    "simple_30.txt": "hard",
    "dsn_14.txt": "hard",
    "simple_07.txt": "soft",
    "simple_14.txt": "soft",
    "dsn_02.txt": "soft",
    "dsn_03.txt": "policy",
    "sendmail_01.txt": "soft",
    "simple_42.txt": "policy",
}


def come_back(raw: bytes, delivery: Delivery, domain: Domain) -> None:
    """Through the lists' own door, to the signed address of this delivery."""
    token = tokens.make(Purpose.BOUNCE, delivery.pk)
    route = inbound.signed(f"bounces+{token}", domain)
    assert isinstance(route, Route)
    to = f"To: bounces+{token}@{domain.name}\r\n".encode()
    raw = to + raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    facts = facts_of.read(raw, reverse_path="")
    message = Message.objects.create(
        size=len(raw), sha256="", body_at=facts.body_at, raw=raw
    )
    verdict = inbound.judge(route, facts)
    assert verdict == ACCEPT
    inbound.take(route, message, facts, verdict)


def test_every_sample_has_the_outcome_of_the_table() -> None:
    mlist = make_list()
    domain = mlist.address.domain
    wrong, counts = [], Counter[str]()
    for number, sample in enumerate(samples()):
        delivery = make_delivery(subscribe(mlist, f"p{number}@people.test"))
        come_back(sample.raw, delivery, domain)
        bounce = Bounce.objects.filter(delivery=delivery).first()
        if bounce is None:
            outcome = PENDING
        else:
            outcome = NONE if bounce.kind == Bounce.Kind.UNKNOWN else FAILED
        counts[outcome] += 1
        kind = KINDS.get(sample.name, bounce.kind if bounce else "")
        if outcome != sample.expected or (bounce and bounce.kind != kind):
            wrong.append((sample.name, sample.expected, bounce))
    assert not wrong
    assert counts == {FAILED: 101, PENDING: 11, NONE: 5}


def test_the_same_sample_three_times_is_one_bounce(settings: Settings) -> None:
    settings.BOUNCE_WAIT_MINUTES = 0
    mlist = make_list()
    subscription = subscribe(mlist, "sam@people.test")
    delivery = make_delivery(subscription)
    sample = next(sample for sample in samples() if sample.name == "postfix_01.txt")
    for _ in range(3):
        come_back(sample.raw, delivery, mlist.address.domain)
        count_fresh()
    assert Bounce.objects.count() == 1
    assert Subscription.objects.get().bounce_score == 2
    assert not mail.outbox
