"""Who does not want mail from us: for whoever runs the site, until it is over.

A relay that refuses us at the door, or asks for another password, is a matter of
settings and no member's bounce. All of it is read from the rows, so an alarm ends
by itself when mail flows again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone

from smtpd.models import Delivery, Destination
from smtpd.outbound.failures import Failure, Stage
from smtpd.outbound.relay import RELAY, is_direct

# Failures of the relay in a row that are no hiccup: about a minute.
MANY = 5
# How long an author who could not be proven stays an alarm.
UNPROVEN_FOR = timedelta(days=1)
_MOST = 20
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class Alarm:
    """What happened, what they said, what was kept, and what to do."""

    destination: str
    what: str
    said: str
    kept: str
    todo: str
    since: datetime | None = None
    # `said` is theirs; else nobody answered, and it is what we saw.
    is_answer: bool = True

    def __str__(self) -> str:
        return f"{self.what} {self.said}".strip()


def alarms() -> list[Alarm]:
    """The relay first, then others by name."""
    return [*_of_relay(), *_of_the_blocking(), *_of_the_unproven()]


def is_ours_to_mend(stage: str, code: int | None, failures: int) -> bool:
    """Whether a relay's trouble does not go away by waiting."""
    if failures == 0:
        return False
    is_refused = code is not None and code >= _PERMANENT
    is_silent = code is None and stage in (Stage.STARTTLS, Stage.AUTH)
    return is_refused or is_silent or failures >= MANY


def _of_relay() -> list[Alarm]:
    host = None if is_direct() else Destination.objects.filter(name=RELAY).first()
    if host is None or not is_ours_to_mend(host.stage, host.code, host.failures):
        return []
    waiting = Delivery.objects.waiting().filter(destination=RELAY).count()
    what, todo = _words(host.stage, host.code)
    return [
        Alarm(
            RELAY,
            f"The relay {settings.RELAY} {what}.",
            host.last_failure,
            _kept(waiting),
            todo,
            host.last_failure_at,
            is_answer=host.code is not None,
        )
    ]


def _words(stage: str, code: int | None) -> tuple[str, str]:
    if stage == Stage.AUTH:
        return (
            "does not take our password",
            "Correct RELAY_USER and RELAY_PASSWORD and start again.",
        )
    if stage == Stage.STARTTLS:
        return (
            "offers no encryption that RELAY_TLS allows",
            "Correct RELAY_TLS, or the certificate of the relay.",
        )
    if code is None:
        return (
            "does not answer",
            "See whether it runs, and whether RELAY names its host and port.",
        )
    if code < _PERMANENT:
        return (
            "takes no mail from us at the moment",
            "Ask whoever runs it, if it lasts.",
        )
    return (
        "refuses to talk to this server",
        "Ask whoever runs it to let this machine in, or correct RELAY and"
        " SMTP_HOSTNAME.",
    )


def _kept(waiting: int) -> str:
    days = settings.GIVE_UP_DAYS
    copies = "1 copy waits" if waiting == 1 else f"{waiting} copies wait"
    return (
        f"{copies} and {'is' if waiting == 1 else 'are'} tried again by"
        f" {'itself' if waiting == 1 else 'themselves'} for {days} days. Nothing is"
        " counted against any member."
    )


def _of_the_blocking() -> list[Alarm]:
    """Whatever they refuse; what a relay says at the door is told already."""
    rows = Delivery.objects.blocked().exclude(destination=RELAY, attempts=0)
    found = rows.order_by("destination").values_list("destination")
    counted = found.annotate(n=Count("id"), last=Max("id"))[:_MOST]
    return [
        Alarm(
            name,
            f"{'The relay' if name == RELAY else name} does not accept mail from us.",
            _said(Delivery.objects.get(pk=last)),
            _kept(count),
            "Their answer says why: a blocklist, a missing PTR record, too many"
            " complaints. It goes on by itself once they have changed their mind.",
        )
        for name, count, last in counted
    ]


def _of_the_unproven() -> list[Alarm]:
    since = timezone.now() - UNPROVEN_FOR
    rows = Delivery.objects.filter(
        state=Delivery.State.FAILED, failure=Failure.AUTH, updated_at__gt=since
    )
    last = rows.order_by("-updated_at").first()
    if last is None:
        return []
    count = rows.count()
    return [
        Alarm(
            "",
            "Servers could not tell that our mail is real.",
            _said(last),
            f"{'1 copy was' if count == 1 else f'{count} copies were'} refused in the"
            " last 24 hours. Nothing is counted against any member.",
            "Look at the DNS records of your domains: SPF, DKIM and DMARC. If the"
            " answer names an author's domain, it is theirs.",
        )
    ]


def _said(row: Delivery) -> str:
    return " ".join(filter(None, (str(row.code or ""), row.enhanced, row.text)))
