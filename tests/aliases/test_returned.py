"""What a target's own server refuses comes back to the sender, by the worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from aliases import actions
from smtpd.dsn import Wish
from smtpd.models import Delivery, Event, Message, Report
from smtpd.reports.actions import return_to_sender
from smtpd.reports.debts import left_behind
from smtpd.reports.tasks import sweep
from tests.aliases.makers import MAIL, NICK, OLGA, SAM, make_domain, send
from tests.sink import Script, Sink
from tests.smtpd.sending import run, working

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_sweep_tells_whom_a_dead_worker_did_not(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    actions.create("team@lists.test", [SAM, OLGA])
    assert send("team@lists.test").is_positive
    assert send("team@lists.test", sender="").is_positive
    reports = Message.objects.filter(source=Message.Source.SITE)
    Delivery.objects.update(state="failed", code=550, updated_at=timezone.now())
    sweep()
    assert not reports, "the worker may be about to"
    Delivery.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    sweep()
    sweep()
    report = reports.get()
    assert report.forward_paths == [NICK]
    assert left_behind() == []


def test_a_refused_target_is_reported_to_the_sender(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    actions.create("team@lists.test", [SAM, OLGA])
    assert send("team@lists.test").is_positive
    script = Script(rcpt={SAM: "550 5.1.1 no such person"})
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        # The report was queued while the last results were written down.
        run(worker)
    states = dict(Delivery.objects.values_list("address", "state"))
    assert states == {SAM: "failed", OLGA: "sent", NICK: "sent"}
    report = sink.messages[-1]
    assert (report.sender, report.recipients) == ("", (NICK,))
    assert b"team@lists.test" in report.raw
    assert Message.objects.filter(source=Message.Source.SITE).count() == 1


def fail_again(**told: Any) -> int:
    """The same message once more, refused again; how many reports there are."""
    assert send("team@lists.test", **told).is_positive
    rows = Delivery.objects.filter(state="queued", address=SAM)
    rows.update(state="failed", code=550, enhanced="5.1.1", updated_at=timezone.now())
    failed = Delivery.objects.filter(state="failed").values_list("pk", flat=True)
    return_to_sender(list(failed))
    return Message.objects.filter(source=Message.Source.SITE).count()


@pytest.fixture
def _team(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    actions.create("team@lists.test", [SAM])


@pytest.mark.usefixtures("_team")
def test_the_same_news_of_the_same_message_is_told_once_a_week() -> None:
    assert fail_again() == 1
    assert fail_again() == 1
    said = Event.objects.filter(text__contains="told of the same message within a week")
    assert said.count() == 1
    week_ago = timezone.now() - timedelta(days=7, minutes=1)
    Report.objects.exclude(fingerprint="").update(settled_at=week_ago)
    assert fail_again() == 2


@pytest.mark.usefixtures("_team")
def test_another_message_is_told_at_once() -> None:
    assert fail_again() == 1
    other = MAIL.replace(b"last line", b"another").replace(b"<1@", b"<2@")
    assert fail_again(raw=other) == 2


@pytest.mark.usefixtures("_team")
def test_who_asks_is_told_every_time() -> None:
    assert fail_again() == 1
    assert fail_again(wishes=[Wish("FAILURE")]) == 2
