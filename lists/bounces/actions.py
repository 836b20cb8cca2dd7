"""The verbs of mail that came back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from lists import notices
from lists.bounces import reports, score
from lists.bounces.reports import Outcome, Report
from lists.models import Bounce, Subscription
from smtpd.events import add_event
from smtpd.facts import Facts
from smtpd.models import Delivery, Message
from smtpd.outbound.failures import WORDS, Failure, classify
from smtpd.outbound.relay import RELAY

log = logging.getLogger(__name__)
Standing = Bounce.Standing

# Results are recorded together up to this many.
BATCH = 50
# Owners get so many reports a list and day; more is one trouble, not many.
REPORTS_A_DAY = 20


@transaction.atomic
def take_report(delivery_id: int, message: Message, facts: Facts) -> None:
    """Take mail to the bounce address of one delivery.

    The same report any number of times counts once. Mail that is no report is
    noted and counts nothing. The ledger keeps what the next server said to us:
    that it took the mail stays true; the trace tells what came back.
    """
    delivery = (
        Delivery.objects.select_related("outgoing__message")
        .filter(pk=delivery_id)
        .first()
    )
    if delivery is None:
        log.info("report_ignored delivery=%s message=%s", delivery_id, message.key)
        return
    report = reports.read(bytes(message.raw))
    log.info(
        "report delivery=%s message=%s outcome=%s code=%s enhanced=%s",
        delivery_id,
        message.key,
        report.outcome.value,
        report.code,
        report.enhanced,
    )
    if report.outcome is Outcome.PENDING:
        return
    found = _class(report)
    text = report.words or facts.subject
    if found.kind != Bounce.Kind.UNKNOWN:
        words = " ".join(filter(None, (_said(report.code, report.enhanced), text)))
        why = WORDS[Failure(found.failure)] if found.failure else found.kind.label
        add_event(
            delivery.outgoing.message, "bounced", f"{delivery.address}: {why}: {words}"
        )
    _record(delivery, found, _said(report.code, report.enhanced), text)


def record_failures(delivery_ids: Sequence[int]) -> None:
    """Count deliveries that the queue gave up or the next server refused.

    Safe to be told twice.
    """
    for start in range(0, len(delivery_ids), BATCH):
        _record_refusals(delivery_ids[start : start + BATCH])


@transaction.atomic
def _record_refusals(ids: Sequence[int]) -> None:
    """Together: a dead provider fails thousands, and all results wait behind them."""
    failed = list(
        Delivery.objects.filter(
            pk__in=ids, state=Delivery.State.FAILED, ref__isnull=False
        )
    )
    # In one order, or two that lock the same members wait for each other for ever.
    members = Subscription.objects.filter(pk__in={row.ref for row in failed})
    locked = members.order_by("pk").select_for_update(no_key=True)
    here = set(locked.values_list("pk", flat=True))
    noted = Bounce.objects.filter(delivery__in=failed).order_by()
    known = set(noted.values_list("delivery", flat=True))
    Bounce.objects.bulk_create(
        [
            Bounce(delivery=row, subscription_id=row.ref, **_facts_of(row))
            for row in failed
            if row.ref in here and row.pk not in known
        ],
        ignore_conflicts=True,
    )
    for row in sorted(failed, key=lambda row: row.ref or 0):
        if row.pk in known:
            _record(row, _refusal(row), _said(row.code, row.enhanced), row.text)


def _facts_of(row: Delivery) -> dict[str, str]:
    return _facts(_refusal(row), _said(row.code, row.enhanced), row.text)


@dataclass(frozen=True, slots=True)
class _Class:
    kind: Bounce.Kind
    failure: str = ""


def _refusal(delivery: Delivery) -> _Class:
    code, enhanced = delivery.code, delivery.enhanced
    known = delivery.failure
    failure = Failure(known) if known else classify(code, enhanced, delivery.text)
    is_relays = delivery.destination == RELAY and code is None
    kind = score.kind(failure, code, enhanced, is_relays=is_relays)
    return _Class(Bounce.Kind(kind), failure)


def _class(report: Report) -> _Class:
    if report.outcome is Outcome.COMPLAINT:
        return _Class(Bounce.Kind.COMPLAINT)
    if report.outcome is Outcome.NONE:
        return _Class(Bounce.Kind.UNKNOWN)
    failure = classify(report.code, report.enhanced, report.text)
    kind = score.kind(failure, report.code, report.enhanced)
    return _Class(Bounce.Kind(kind), failure)


def _said(code: int | None, enhanced: str) -> str:
    """`550 5.1.1`, as far as it is known."""
    return " ".join(filter(None, (str(code or ""), enhanced)))


def _facts(found: _Class, said: str, text: str) -> dict[str, str]:
    """What a bounce keeps of it."""
    is_counted = found.kind in score.POINTS
    return {
        "kind": found.kind,
        "failure": found.failure,
        "code": said[:12],
        "text": text[:500],
        "standing": Standing.FRESH if is_counted else Standing.FREE,
    }


def _record(delivery: Delivery, found: _Class, said: str, text: str) -> None:
    """Note a bounce unless this delivery has one; `count_fresh` counts it later."""
    if delivery.ref is None:
        return
    subscription = (
        Subscription.objects.select_for_update(of=("self",))
        .select_related("subscriber", "mailing_list__address__domain")
        .filter(pk=delivery.ref)
        .first()
    )
    if subscription is None:
        return
    kind, facts = found.kind, _facts(found, said, text)
    bounce, is_new = Bounce.objects.get_or_create(
        delivery=delivery, defaults={"subscription": subscription, **facts}
    )
    if not is_new and not _outweighs(kind, bounce.kind):
        return
    if not is_new:
        Bounce.objects.filter(pk=bounce.pk).update(**facts)
        bounce.refresh_from_db()
    if kind == Bounce.Kind.COMPLAINT:
        suspend(subscription, bounce)


def _outweighs(kind: str, noted: str) -> bool:
    """A real report follows a vacation notice, a complaint follows anything."""
    if kind == noted:
        return False
    return noted == Bounce.Kind.UNKNOWN or kind == Bounce.Kind.COMPLAINT


def suspend(subscription: Subscription, bounce: Bounce) -> None:
    """Stop sending; tell the member unless they complained, and the owners.

    Who is suspended already, by whomever, stays as they are.
    """
    if subscription.suspended_by:
        return
    now = timezone.now()
    subscription.suspended_by = Subscription.SuspendedBy.BOUNCES
    subscription.suspended_at = now
    kind, said, text = bounce.kind, bounce.code, bounce.text
    subscription.last_bounce = bounce.words
    subscription.save(update_fields=["suspended_by", "suspended_at", "last_bounce"])
    log.warning(
        "suspended list=%s subscription=%s kind=%s said=%s",
        subscription.mailing_list_id,
        subscription.pk,
        kind,
        said,
    )
    if kind != Bounce.Kind.COMPLAINT:
        notices.suspended(subscription)
    stopped_today = Subscription.objects.filter(
        mailing_list=subscription.mailing_list_id,
        suspended_by=Subscription.SuspendedBy.BOUNCES,
        suspended_at__gt=now - timedelta(days=1),
    )
    if stopped_today.count() <= REPORTS_A_DAY:
        notices.owner_suspended_report(subscription, kind, said, text)
