"""A server that refuses, stammers or lies: who is tried again, who is blamed.

Rows F20 to F22 and F24 to F26 of the fault table, through the real worker, the real
database and a server that does as told. Sam, Mori and Nick are on a list; their copies
go to the relay.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from lists.bounces.counting import count_fresh
from lists.models import Bounce, MailingList, Subscription, Wave
from smtpd.models import Delivery, Outgoing
from smtpd.outbound.relay import TLS, Hop
from smtpd.queue.alarms import alarms
from smtpd.queue.ways import to_relay
from smtpd.queue.worker import Worker
from tests import certificates
from tests.lists.posts import MORI, NICK, SAM, make_list, subscribe
from tests.sink import Script, Sink
from tests.smtpd.sending import QUICK, make_outgoing, make_verp, retry, run, states

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = (SAM, MORI, NICK)


@pytest.fixture(autouse=True)
def mlist(settings: Settings) -> MailingList:
    settings.RELAY = "smart.test:25"
    settings.BOUNCE_WAIT_MINUTES = 0
    mlist = make_list()
    for person in PEOPLE:
        subscribe(mlist, person)
    return mlist


@contextmanager
def at_work(sink: Sink, **told: Any) -> Iterator[Worker]:
    """A worker whose relay this is."""
    told = {"tls": TLS.NONE, "helo": "mx.lists.test"} | told
    worker = Worker(to_relay(Hop("127.0.0.1", sink.port, **told), 2), QUICK)
    try:
        yield worker
    finally:
        worker.stop(5)


def make_post() -> Outgoing:
    """One copy for each of them."""
    people = Subscription.objects.values_list("subscriber__address", "pk")
    return make_verp(people)


def scores() -> dict[str, int]:
    """Who is blamed, in half points, once the clock has counted."""
    count_fresh()
    rows = Subscription.objects.filter(bounce_score__gt=0)
    return dict(rows.values_list("subscriber__address", "bounce_score"))


# --- F20 and F21: one case a stage


@dataclass(frozen=True)
class Case:
    """What the server does, and what comes of the copies it concerns."""

    name: str
    script: Script
    # Of three copies so many are in this state, the others are sent.
    state: str
    count: int
    failure: str = ""
    # Attempts of those copies: none when nothing of them was said.
    attempts: int = 1
    # Half points for each of them.
    points: int = 0
    # Part of what the alarm says, if there is one.
    alarm: str = ""
    hop: dict[str, Any] = field(default_factory=dict)


ALL, ONE = 3, 1
LOGIN = {"user": "us", "password": "secret"}
AUTH = ("PIPELINING", "AUTH PLAIN")
TLS_THERE = ("PIPELINING", "STARTTLS")
MUST = {"tls": TLS.STARTTLS}


def verb(name: str, *replies: str, extensions: tuple[str, ...] = ()) -> Script:
    told = list(replies) if len(replies) > 1 else replies[0]
    if extensions:
        return Script(verbs={name: told}, extensions=extensions)
    return Script(verbs={name: told})


def once(name: str, reply: str) -> Script:
    """For the first message alone."""
    return Script(verbs={name: [reply]})


CASES = [
    # F20
    Case(
        "4-greeting",
        Script(greeting="421 4.3.2 busy"),
        "queued",
        ALL,
        "rate",
        0,
    ),
    Case("4-ehlo", verb("EHLO", "451 4.3.0 no"), "queued", ALL, "rate", 0),
    Case(
        "4-starttls",
        verb("STARTTLS", "454 4.7.0 no", extensions=TLS_THERE),
        "queued",
        ALL,
        "rate",
        0,
        hop=MUST,
    ),
    Case(
        "4-auth",
        verb("AUTH", "454 4.7.0 no", extensions=AUTH),
        "queued",
        ALL,
        "blocked",
        0,
        hop=LOGIN,
    ),
    Case("4-mail", once("MAIL", "451 4.3.0 no"), "queued", ONE, "network"),
    Case("4-rcpt", Script(rcpt={SAM: "450 4.2.1 no"}), "queued", ONE, "disabled"),
    Case("4-data", once("DATA", "451 4.3.0 no"), "queued", ONE, "network"),
    Case("4-message", once("DOT", "451 4.7.1 no"), "queued", ONE, "rate"),
    # F21
    Case(
        "5-greeting",
        Script(greeting="554 5.7.1 no"),
        "queued",
        ALL,
        "blocked",
        0,
        alarm="refuses to talk",
    ),
    Case(
        "5-ehlo",
        Script(verbs={"EHLO": "550 5.7.1 no", "HELO": "550 5.7.1 no"}),
        "queued",
        ALL,
        "blocked",
        0,
        alarm="refuses to talk",
    ),
    Case(
        "5-starttls",
        verb("STARTTLS", "502 5.5.1 no", extensions=TLS_THERE),
        "queued",
        ALL,
        "blocked",
        0,
        alarm="offers no encryption",
        hop=MUST,
    ),
    Case(
        "5-auth",
        verb("AUTH", "535 5.7.8 no", extensions=AUTH),
        "queued",
        ALL,
        "blocked",
        0,
        alarm="does not take our password",
        hop=LOGIN,
    ),
    Case("5-mail", once("MAIL", "550 5.7.1 no"), "failed", ONE, "policy"),
    Case(
        "5-mail-needs-a-password",
        verb("MAIL", "530 5.7.0 Authentication required"),
        "queued",
        ALL,
        "blocked",
        alarm="does not accept mail from us",
    ),
    Case(
        "5-rcpt",
        Script(rcpt={SAM: "550 5.1.1 who?"}),
        "failed",
        ONE,
        "unknown",
        points=2,
    ),
    Case(
        "5-rcpt-full",
        Script(rcpt={SAM: "552 5.2.2 full"}),
        "failed",
        ONE,
        "full",
        points=1,
    ),
    Case(
        "5-rcpt-relaying",
        Script(rcpt={SAM: "554 5.7.1 Relay access denied"}),
        "queued",
        ONE,
        "blocked",
        alarm="does not accept mail from us",
    ),
    Case("5-data", once("DATA", "554 5.7.1 no"), "failed", ONE, "policy"),
    Case("5-message", once("DOT", "550 5.7.1 spam"), "failed", ONE, "policy"),
    Case(
        "5-message-dmarc",
        once("DOT", "550 5.7.26 DMARC"),
        "failed",
        ONE,
        "auth",
        alarm="could not tell that our mail is real",
    ),
    Case("5-message-size", once("DOT", "552 5.3.4 big"), "failed", ONE, "size"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_refusal_at_each_stage(case: Case, client: Client) -> None:
    make_post()
    # A sink uses its script up.
    with Sink(deepcopy(case.script)) as sink, at_work(sink, **case.hop) as worker:
        run(worker)
    assert states() == Counter({case.state: case.count, "sent": 3 - case.count}) - (
        Counter()
    )
    concerned = Delivery.objects.filter(state=case.state)
    assert {row.failure for row in concerned} == {case.failure}
    assert {row.attempts for row in concerned} == {case.attempts}
    assert len(sink.recipients()) == len(set(sink.recipients())) == 3 - case.count
    if case.state == "queued":
        assert all(row.next_attempt_at > timezone.now() for row in concerned) or (
            case.attempts == 0
        )
    blamed = {row.address: case.points for row in concerned if case.points}
    assert scores() == blamed
    found = alarms()
    assert bool(found) == bool(case.alarm)
    if found:
        assert case.alarm in found[0].what
        assert " no" in found[0].said or "5" in found[0].said
    status = client.get("/healthz").json()["status"]
    assert status == ("degraded" if case.alarm else "ok")


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.state == "queued"], ids=lambda c: c.name
)
def test_what_was_kept_arrives_when_the_server_is_well(case: Case) -> None:
    """And the alarm is over."""
    make_post()
    script = deepcopy(case.script)
    hop = {k: v for k, v in case.hop.items() if k != "tls"}
    with Sink(script) as sink:
        with at_work(sink, **case.hop) as worker:
            run(worker)
        script.greeting, script.verbs, script.rcpt = "220 hi", {}, {}
        script.user = ("us", "secret")
        retry()
        with at_work(sink, **hop) as worker:
            run(worker)
    assert sorted(sink.recipients()) == sorted(PEOPLE)
    assert (states(), alarms(), scores()) == ({"sent": 3}, [], {})


def test_days_of_a_wrong_password_are_no_members_bounce() -> None:
    outgoing = make_post()
    long_ago = timezone.now() - timedelta(days=site.GIVE_UP_DAYS, minutes=1)
    Outgoing.objects.filter(pk=outgoing.pk).update(created_at=long_ago)
    script = verb("AUTH", "535 5.7.8 no", extensions=AUTH)
    with Sink(script) as sink, at_work(sink, **LOGIN) as worker:
        run(worker)
    assert states() == {"failed": 3}
    assert scores() == {}
    assert set(Bounce.objects.values_list("kind", flat=True)) == {"policy"}


# --- F22


def test_one_transaction_with_three_answers() -> None:
    """Mori alone is asked again, and nobody gets a second copy."""
    numbers = dict(Subscription.objects.values_list("subscriber__address", "pk"))
    make_outgoing([(person, numbers[person]) for person in PEOPLE])
    script = Script(rcpt={MORI: ["450 4.2.1 later"], NICK: "550 5.1.1 who?"})
    with Sink(script) as sink, at_work(sink) as worker:
        run(worker)
        retry()
        run(worker)
    assert sink.recipients() == [SAM, MORI]
    assert states() == {"sent": 2, "failed": 1}
    assert scores() == {NICK: 2}


# --- F24


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"250-2.0.0 in\r\n250-many\r\n250 lines\r\n", "sent"),
        (b"250 2.0.0 \xe4\xf6\xfc\x00\x1b[2J\r\n", "sent"),
        (b"what?\r\n", "queued"),
        (b"250", "queued"),
        (b"2", "queued"),
        (b"\r\n\r\n", "queued"),
        (b"999 what\r\n", "queued"),
        (b"250-" + b"x" * 100_000 + b"\r\n", "queued"),
        (b"250-x\r\n" * 20_000, "queued"),
    ],
    ids=[
        "lines",
        "8-bit",
        "words",
        "no-end",
        "slow",
        "empty",
        "999",
        "long",
        "endless",
    ],
)
def test_garbage_for_an_answer_is_no_answer(answer: bytes, state: str) -> None:
    make_outgoing([(SAM, Subscription.objects.get(subscriber__folded=SAM).pk)])
    with Sink(Script(raw_dot=answer)) as sink, at_work(sink) as worker:
        run(worker)
    row = Delivery.objects.get()
    assert row.state == state
    assert len(row.text) <= 500
    assert row.text.isprintable()
    # It may have arrived: said so, unless the server said something else.
    assert row.ambiguous == (state == "queued" and row.code is None)
    assert (scores(), alarms()) == ({}, [])


# --- F25


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    return certificates.server_context(certificates.write(tmp_path / "sink.pem"))


def test_with_whoever_offers_it_a_bad_certificate_is_better_than_none(
    tls: ssl.SSLContext,
) -> None:
    make_post()
    with Sink(Script(tls=tls)) as sink, at_work(sink, tls=TLS.OPPORTUNISTIC) as worker:
        run(worker)
    assert (states(), alarms()) == ({"sent": 3}, [])
    assert "STARTTLS" in sink.commands


@pytest.mark.parametrize("way", [TLS.STARTTLS, TLS.IMPLICIT])
def test_a_bad_certificate_where_a_good_one_is_demanded_is_an_alarm(
    tls: ssl.SSLContext, way: TLS
) -> None:
    make_post()
    script = Script(tls=tls, implicit_tls=way is TLS.IMPLICIT)
    with Sink(script) as sink, at_work(sink, tls=way, **LOGIN) as worker:
        run(worker)
    assert (states(), sink.messages, sink.logins) == ({"queued": 3}, [], [])
    (alarm,) = alarms()
    assert "offers no encryption" in alarm.what
    assert "certificate" in alarm.said
    assert scores() == {}


def test_starttls_that_was_stripped_where_it_is_demanded_is_an_alarm() -> None:
    make_post()
    with Sink() as sink, at_work(sink, **MUST, **LOGIN) as worker:
        run(worker)
    assert (states(), sink.messages, sink.logins) == ({"queued": 3}, [], [])
    assert "RELAY_TLS" in alarms()[0].todo


def test_a_handshake_that_hangs_ends_in_the_clear_and_without_a_password() -> None:
    make_post()
    script = verb("STARTTLS", "220 2.0.0 go", extensions=TLS_THERE)
    with Sink(script) as sink:
        with at_work(sink, tls=TLS.OPPORTUNISTIC, **LOGIN) as worker:
            run(worker)
        assert (states(), sink.messages) == ({"queued": 3}, [])
        assert not any(line.startswith("AUTH") for line in sink.commands)
        retry()
        with at_work(sink, tls=TLS.OPPORTUNISTIC) as worker:
            run(worker)
    assert states() == {"sent": 3}


# --- F26


def test_a_greylisted_copy_arrives_once_and_is_nobodys_fault() -> None:
    make_post()
    wait = "450 4.7.1 Greylisted, please come back in 15 minutes"
    script = Script(rcpt={person: [wait] * 3 for person in PEOPLE})
    with Sink(script) as sink, at_work(sink) as worker:
        for _ in range(3):
            run(worker)
            assert states() == {"queued": 3}
            assert set(Delivery.objects.values_list("failure", flat=True)) == {"rate"}
            retry()
        run(worker)
    assert Counter(sink.recipients()) == Counter(PEOPLE)
    assert (states(), scores(), alarms()) == ({"sent": 3}, {}, [])


# --- a provider with a bad hour


def test_a_provider_that_refuses_everybody_disables_nobody(
    mlist: MailingList, settings: Settings
) -> None:
    """550 5.1.1 to all its people; it is well again for the next post."""
    MailingList.objects.update(bounce_limit=1)
    theirs = [f"p{number}@big.test" for number in range(30)]
    for person in theirs:
        subscribe(mlist, person)
    bad_hour = {person: ["550 5.1.1 no such user"] for person in theirs}
    script = Script(rcpt={**bad_hour, NICK: "550 5.1.1 no such user"})
    make_post()
    with Sink(script) as sink, at_work(sink) as worker:
        run(worker)
        assert states() == {"failed": 31, "sent": 2}
        assert scores() == {NICK: 2}
        wave = Wave.objects.get()
        assert (wave.domain, wave.failed) == ("big.test", 30)
        assert not Subscription.objects.filter(
            subscriber__domain="big.test", suspended_by="bounces"
        ).exists()
        sink.messages.clear()
        people = Subscription.objects.receiving()
        make_verp(people.values_list("subscriber__address", "pk"))
        run(worker)
    assert sorted(sink.recipients()) == sorted([SAM, MORI, *theirs])
