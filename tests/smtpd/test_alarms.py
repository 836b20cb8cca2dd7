"""Whoever runs the site is told, in words, when somebody does not want our mail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from smtpd.models import Delivery, Destination, Domain
from smtpd.queue import ledger
from smtpd.queue.alarms import MANY, alarms, is_ours_to_mend
from tests.people import signed_in
from tests.sink import Script, Sink
from tests.smtpd.sending import make_verp, people, run, working

pytestmark = pytest.mark.django_db(transaction=True)
RELAY = "smart.test:587"


@pytest.fixture(autouse=True)
def relay(settings: Settings) -> None:
    settings.RELAY = RELAY


@pytest.mark.parametrize(
    ("stage", "code", "failures", "expected"),
    [
        ("greeting", 554, 1, True),
        ("EHLO", 550, 1, True),
        ("STARTTLS", 502, 1, True),
        ("AUTH", 535, 1, True),
        # No certificate, no mechanism: nobody has to say so.
        ("STARTTLS", None, 1, True),
        ("AUTH", None, 1, True),
        ("greeting", 421, 1, False),
        ("greeting", 421, MANY, True),
        ("AUTH", 454, 1, False),
        ("", None, 1, False),
        ("", None, MANY, True),
        ("AUTH", 535, 0, False),
    ],
)
def test_what_waiting_does_not_mend_is_an_alarm(
    stage: str, code: int | None, failures: int, *, expected: bool
) -> None:
    assert is_ours_to_mend(stage, code, failures) is expected


@pytest.mark.parametrize(("destination", "count"), [("home.test", 1), ("relay", 0)])
def test_who_blocks_us_at_the_door_does_too(destination: str, count: int) -> None:
    """Of the relay's door the relay's own row tells."""
    make_verp(people(1))
    Delivery.objects.update(destination=destination, failure="blocked", code=554)
    assert len(alarms()) == count


@pytest.mark.parametrize(
    ("stage", "code", "what", "todo"),
    [
        ("AUTH", 535, "does not take our password", "RELAY_PASSWORD"),
        ("STARTTLS", None, "offers no encryption", "RELAY_TLS"),
        ("greeting", 554, "refuses to talk", "let this machine in"),
        ("EHLO", 550, "refuses to talk", "SMTP_HOSTNAME"),
    ],
)
def test_an_alarm_says_what_happened_and_what_to_do(
    stage: str, code: int | None, what: str, todo: str
) -> None:
    make_verp(people(3))
    ledger.host_failed("relay", "550 5.7.1 go away", stage, code)
    (alarm,) = alarms()
    assert RELAY in alarm.what
    assert what in alarm.what
    assert alarm.said == "550 5.7.1 go away"
    assert "3 copies wait" in alarm.kept
    assert todo in alarm.todo


def test_it_ends_by_itself_when_mail_flows(client: Client) -> None:
    make_verp(people(3))
    script = Script(greeting="554 5.7.1 who are you?")
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        assert len(alarms()) == 1
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "who are you?" in answer.json()["alarms"][0]
        assert "folkmoot_alarms 1.0" in client.get("/metrics").content.decode()
        Destination.objects.update(backoff_until=timezone.now())
        sink.script.greeting = "220 welcome"
        run(worker)
        sink.wait_for(3)
    assert alarms() == []
    assert client.get("/healthz").json()["status"] == "ok"


def test_with_mx_one_domain_that_is_down_is_no_alarm(settings: Settings) -> None:
    settings.RELAY = "mx"
    ledger.host_failed("home.test", "554 go away", "greeting", 554)
    assert alarms() == []


def test_who_blocks_us_is_an_alarm_with_their_words(settings: Settings) -> None:
    settings.RELAY = "mx"
    make_verp(people(2))
    words = "Client host [203.0.113.5] blocked using zen.spamhaus.org"
    Delivery.objects.update(
        destination="home.test",
        attempts=1,
        failure="blocked",
        code=554,
        enhanced="5.7.1",
        text=words,
    )
    (alarm,) = alarms()
    assert alarm.what == "home.test does not accept mail from us."
    assert alarm.said == f"554 5.7.1 {words}"
    assert alarm.kept.startswith("2 copies wait and are tried again by themselves")


def test_an_author_who_was_not_proven_is_an_alarm_for_a_day() -> None:
    make_verp(people(1))
    Delivery.objects.update(
        state="failed",
        failure="auth",
        code=550,
        text="DMARC",
        updated_at=timezone.now(),
    )
    (alarm,) = alarms()
    assert "SPF, DKIM and DMARC" in alarm.todo
    Delivery.objects.update(updated_at=timezone.now() - timedelta(days=1, minutes=1))
    assert alarms() == []


def test_operators_see_it_where_they_look_and_others_do_not() -> None:
    ledger.host_failed("relay", "AUTH refused: 535 5.7.8 <b>no</b>", "AUTH", 535)
    olga = signed_in("olga@x.test", runs=Domain.objects.create(name="lists.test"))
    for path in ("/", "/queue/", "/queue/numbers/"):
        page = olga.get(path).content.decode()
        assert "does not take our password" in page, path
        assert "&lt;b&gt;no" in page
        assert "They say:" in page
    nick = signed_in("nick@x.test").get("/").content.decode()
    assert "password" not in nick


def test_what_nobody_said_is_not_told_as_an_answer() -> None:
    for _ in range(MANY):
        Destination.objects.update(backoff_until=None)
        ledger.host_failed("relay", "cannot connect: connection refused")
    olga = signed_in("olga@x.test", runs=Domain.objects.create(name="lists.test"))
    page = olga.get("/").content.decode()
    assert "What happened:" in page
    assert "They say:" not in page
