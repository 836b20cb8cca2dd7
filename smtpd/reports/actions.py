"""Tell the sender of a message what became of it.

Whoever takes a message and then cannot deliver it must tell its sender (RFC
5321 6.1); what else the sender wants to hear, NOTIFY says (RFC 3461 4.1). Each
piece of news is told once a message and address the sender wrote to, however
many are behind it: a forged sender is not buried in reports. Who is behind an
address of ours is not told; the trace knows. Of what an account sent elsewhere
each recipient is told, with the words of the server that refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from smtpd import fields
from smtpd.authenticity import proof
from smtpd.dsn import Action, Wish
from smtpd.events import add_event
from smtpd.fields import Field
from smtpd.models import Delivery, Message, Outgoing, Report
from smtpd.queue.mail import post
from smtpd.replies import Reply
from smtpd.reports import restraint
from smtpd.reports.compose import News, compose
from smtpd.reports.story import frame_of, news_of, original_of
from smtpd.routing import Route

log = logging.getLogger(__name__)

RETURNED = "returned"
# How long one task asks DNS; the next one goes on.
_SETTLE_SECONDS = 60.0
_SAID = {
    Action.FAILED: "the sender was told that it could not be delivered.",
    Action.DELAYED: "the sender was told that it is late.",
    Action.DELIVERED: "the sender was told that it arrived.",
    Action.RELAYED: "the sender was told that it was passed on.",
    Action.EXPANDED: "the sender was told that it was passed on.",
}


def return_to_sender(delivery_ids: Sequence[int]) -> int:
    """Report failed deliveries of forwarded mail; return how many reports went out.

    Copies of list posts and mail of the site itself are passed over, and so is
    mail from the null reverse-path: a report on a report would never end (RFC
    5321 4.5.5). Telling twice changes nothing.
    """
    return _report(Action.FAILED, delivery_ids, state=Delivery.State.FAILED)


def delay(delivery_ids: Sequence[int]) -> int:
    """Report those that wait for long; return how many reports went out."""
    return _report(Action.DELAYED, delivery_ids, state=Delivery.State.QUEUED)


def delivered(message: Message, route: Route) -> bool:
    """Say that it arrived at an address of ours, if that was asked (RFC 3461 5.2.7.1).

    To the sender a list is where the mail ends: what comes behind it has
    another reverse-path. Call it in the transaction that stored the message.
    """
    return _tell_of(message, route, Action.DELIVERED)


def expanded(message: Message, route: Route) -> bool:
    """Say that it went to several behind one address (RFC 3461 5.2.7.3)."""
    return _tell_of(message, route, Action.EXPANDED)


def refused(message: Message, route: Route, reply: Reply) -> bool:
    """Say that one recipient of several was refused, to an account or who asked.

    One reply at the dot stands for all recipients, but in LMTP. Unasked, a
    stranger hears nothing: the reverse-path may be anybody's. Call it in the
    transaction that stored the message.
    """
    address, wish = route.written_to, route.wish
    is_stranger = message.submitter_id is None
    was_answered = "LMTP" in message.protocol and not route.origin
    if was_answered or (is_stranger and not wish.asks_for(Action.FAILED)):
        return False
    if not _claim(message, address, wish, Action.FAILED, None):
        return False
    news = News(Action.FAILED, address, wish.orcpt, reply.enhanced, reply.code)
    if not route.origin:
        news = replace(news, text=reply.text, is_elsewhere=True)
    return _send(message, news, wish)


def settle(report_ids: Sequence[int]) -> int:
    """Send reports that are owed; return how many went out.

    A stranger is told what they did not ask for only if DNS says that it was they
    who sent the message. While it does not answer the report is owed still.
    """
    count, until = 0, time.monotonic() + _SETTLE_SECONDS
    for number in report_ids:
        if time.monotonic() > until:
            break
        owed = Report.objects.owed().select_related("delivery__outgoing", "message")
        found = owed.defer("message__raw").filter(pk=number).first()
        if found is None or found.delivery is None:
            continue
        wish = found.delivery.outgoing.wish
        may = wish.asks_for(Action(found.action)) or _is_proven(found.message)
        if may is not None:
            count += _settle(number, is_proven=may)
    return count


def _is_proven(message: Message) -> bool | None:
    """None: ask again."""
    try:
        return proof.is_proven(message)
    except proof.Later:
        is_over = message.received_at + restraint.ASK_FOR < timezone.now()
        return False if is_over else None


@transaction.atomic
def _settle(number: int, *, is_proven: bool) -> bool:
    rows = Report.objects.owed().select_related("delivery__outgoing", "message")
    report = rows.select_for_update(of=("self",)).filter(pk=number).first()
    if report is None or report.delivery is None:
        return False
    report.settled_at = timezone.now()
    report.save(update_fields=["settled_at"])
    news = news_of(Action(report.action), report.delivery)
    if not is_proven:
        _withhold(report.message, news, restraint.UNPROVEN)
        return False
    return _send(report.message, news, report.delivery.outgoing.wish)


def _report(action: Action, delivery_ids: Sequence[int], *, state: str) -> int:
    rows = (
        Delivery.objects.filter(
            pk__in=delivery_ids, state=state, outgoing__envelope=Outgoing.Envelope.FIXED
        )
        .exclude(outgoing__message__source=Message.Source.SITE)
        .select_related("outgoing__message")
        .defer("outgoing__head", "outgoing__body", "outgoing__message__raw")
    )
    return sum(_tell_once(news_of(action, row), row) for row in _firsts(rows))


def _firsts(rows: Iterable[Delivery]) -> list[Delivery]:
    """One for each address that the sender wrote to: the oldest."""
    first: dict[tuple[int, str], Delivery] = {}
    for row in sorted(rows, key=lambda row: row.pk):
        key = row.outgoing.message_id, row.outgoing.forward_path or row.address
        first.setdefault(key, row)
    return list(first.values())


@transaction.atomic
def _tell_once(news: News, delivery: Delivery) -> bool:
    message, wish = delivery.outgoing.message, delivery.outgoing.wish
    must_ask = not (wish.asks_for(news.action) or proof.is_known(message))
    if not _claim(message, news.address, wish, news.action, delivery, is_owed=must_ask):
        return False
    # The clock asks DNS: whoever records results has no time to.
    return not must_ask and _send(message, news, wish)


def _tell_of(message: Message, route: Route, action: Action) -> bool:
    """Tell what happened at an address of ours, without a delivery."""
    address = route.written_to
    if not route.wish.asks_for(action):
        return False
    if not _claim(message, address, route.wish, action, None):
        return False
    news = News(action, address, route.wish.orcpt, "2.1.5")
    return _send(message, news, route.wish)


def _claim(
    message: Message,
    address: str,
    wish: Wish,
    action: Action,
    delivery: Delivery | None,
    *,
    is_owed: bool = False,
) -> bool:
    """Whether this is to be told, and is ours to tell."""
    if not message.reverse_path or not wish.allows(action):
        return False
    settled_at = None if is_owed else timezone.now()
    told = {"settled_at": settled_at, "delivery": delivery}
    _, is_new = Report.objects.get_or_create(
        message=message, address=address, action=action, defaults=told
    )
    return is_new


def _send(message: Message, news: News, wish: Wish) -> bool:
    """Queue the report, unless it would do harm and nobody asked for it."""
    head, _ = fields.split(message.head)
    mark = _fingerprint(message, news, head)
    why = restraint.reason(message.reverse_path, head) or _told_lately(mark)
    if why and not wish.asks_for(news.action):
        _withhold(message, news, why)
        return False
    frame = frame_of(message, news)
    try:
        raw = compose(original_of(message), news, frame)
    except ValueError:
        # Told or not, it is settled: others wait for their reports.
        log.exception("%s returned=broken address=%s", message, news.address)
        add_event(message, RETURNED, f"{news.address}: no report could be written.")
        return False
    post(
        raw,
        [message.reverse_path],
        author=f"postmaster@{frame.domain}",
        needs_utf8=not message.reverse_path.isascii(),
    )
    message.reports.filter(address=news.address, action=news.action).update(
        fingerprint=mark
    )
    add_event(message, RETURNED, f"{news.address}: {_SAID[news.action]}")
    log.info("%s returned=%s address=%s", message, news.action, news.address)
    return True


def _withhold(message: Message, news: News, why: str) -> None:
    add_event(message, RETURNED, f"{news.address}: the sender is not told: {why}.")
    log.info("%s returned=no address=%s why=%s", message, news.address, why)


def _fingerprint(message: Message, news: News, head: Sequence[Field]) -> str:
    body = bytes(message.raw)[message.body_at :]
    said = f"{news.action} {news.status}"
    return restraint.fingerprint(message.reverse_path, news.address, said, head, body)


def _told_lately(mark: str) -> str:
    """Why not again: a program that sends the same message every day."""
    since = timezone.now() - restraint.AGAIN_AFTER
    told = Report.objects.filter(fingerprint=mark, settled_at__gt=since)
    return "they were told of the same message within a week" if told.exists() else ""
