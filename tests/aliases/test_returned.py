"""What a target's own server refuses comes back to the sender, by the worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from aliases import actions
from smtpd.models import Delivery, Message
from smtpd.reports.debts import left_behind
from smtpd.reports.tasks import sweep
from tests.aliases.makers import NICK, OLGA, SAM, make_domain, send
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
