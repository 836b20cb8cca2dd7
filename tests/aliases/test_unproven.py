"""A stranger hears of a failure only if DNS says that it was they who sent the mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from aliases import actions
from smtpd import intake
from smtpd.dsn import Wish
from smtpd.envelope import Envelope
from smtpd.models import Delivery, Event, Message, Report
from smtpd.reports.actions import return_to_sender
from smtpd.reports.restraint import UNPROVEN
from smtpd.reports.tasks import sweep
from smtpd.routing import Route
from tests.aliases.makers import MAIL, NICK, SAM, make_domain, resolve
from tests.dns import Dns

pytestmark = pytest.mark.django_db
TEAM = "team@lists.test"
# Not private: it is only ever compared.
PEER = "11.22.33.44"


@pytest.fixture
def dns(settings: Settings) -> Iterator[Dns]:
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    actions.create(TEAM, [SAM])
    with Dns() as server:
        settings.DNS_SERVER = server.address
        yield server


def fail(peer: str = PEER, **asked: Any) -> None:
    """A message from a stranger is taken, and refused by the one behind the alias."""
    envelope = Envelope(NICK, peer=peer, helo="client.test", **asked)
    route = resolve(TEAM)
    assert isinstance(route, Route)
    envelope.routes.append(route)
    envelope.forward_paths.append(TEAM)
    assert intake.accept(envelope, MAIL).is_positive
    Delivery.objects.update(state="failed", code=550, updated_at=timezone.now())
    return_to_sender(list(Delivery.objects.values_list("pk", flat=True)))


def told() -> int:
    return Message.objects.filter(source=Message.Source.SITE).count()


def test_whom_spf_proves_is_told_by_the_clock(dns: Dns) -> None:
    dns.add("elsewhere.test", "TXT", f'"v=spf1 ip4:{PEER} -all"')
    fail()
    assert told() == 0, "whoever records results does not wait for DNS"
    sweep()
    sweep()
    assert told() == 1


@pytest.mark.parametrize("record", ["v=spf1 -all", "v=spf1 ~all", "nothing"])
def test_whom_nothing_proves_is_not_told_and_the_trace_says_so(
    dns: Dns, record: str
) -> None:
    dns.add("elsewhere.test", "TXT", f'"{record}"')
    fail()
    sweep()
    assert told() == 0
    assert Event.objects.filter(text__contains=UNPROVEN).count() == 1
    assert not Report.objects.owed().exists()


def test_a_domain_that_is_not_there_proves_nothing(dns: Dns) -> None:
    fail()
    sweep()
    assert (told(), Report.objects.owed().count()) == (0, 0)


def test_while_dns_is_silent_the_report_is_owed_for_a_day(dns: Dns) -> None:
    dns.fail("elsewhere.test", "SERVFAIL")
    fail()
    sweep()
    assert (told(), Report.objects.owed().count()) == (0, 1)
    Message.objects.update(received_at=timezone.now() - timedelta(days=1, minutes=1))
    sweep()
    assert (told(), Report.objects.owed().count()) == (0, 0)


def test_who_asks_is_told_whoever_they_are(dns: Dns) -> None:
    fail(wishes=[Wish("FAILURE")])
    assert told() == 1


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", ""])
def test_our_own_network_needs_no_proof(dns: Dns, peer: str) -> None:
    fail(peer=peer)
    assert told() == 1


def test_a_front_has_judged_its_senders(dns: Dns) -> None:
    fail(protocol="LMTPS")
    assert told() == 1
