"""The minute hand: what was noted is counted an hour later, or held as a wave.

Whoever fails alone is counted; who fails with many others is not, until a person
has looked. Waiting first means that nobody has to be given points back.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from lists import notices
from lists.bounces import score
from lists.bounces.actions import suspend
from lists.bounces.waves import is_wave
from lists.models import Bounce, Post, Subscriber, Subscription, Wave
from lists.models.bounce import BounceQuerySet

log = logging.getLogger(__name__)
Standing = Bounce.Standing
Decision = Wave.Decision

_BATCH = 500


def count_fresh() -> int:
    """Find waves, then count what was noted long enough ago; return how many.

    Running it twice, or twice at once, counts nothing twice.
    """
    for wave in Wave.objects.stale():
        forgive(wave)
    hold_waves()
    long_ago = timezone.now() - timedelta(minutes=settings.BOUNCE_WAIT_MINUTES)
    due = Bounce.objects.fresh().filter(Q(at__lte=long_ago) | ~Q(wave=None))
    ids = list(due.order_by("at").values_list("pk", flat=True)[:_BATCH])
    return sum(map(_count, ids))


def hold_waves() -> None:
    """Hold what fails together with many others; tell people of a new wave."""
    fresh = Bounce.objects.fresh().filter(wave=None)
    by_post = fresh.exclude(delivery=None).order_by()
    posts = by_post.values_list("delivery__outgoing__post").annotate(n=Count("id"))
    for number, _ in posts.exclude(delivery__outgoing__post=None):
        _hold_post(number, fresh.filter(delivery__outgoing__post=number))
    domains = fresh.order_by().values_list("subscription__subscriber__domain")
    people = Count("subscription__subscriber", distinct=True)
    for domain, count in domains.annotate(n=people):
        of_domain = fresh.filter(subscription__subscriber__domain=domain)
        _hold_domain(domain, count, of_domain)


def forgive(wave: Wave, *, by: object = None) -> bool:
    """Count nobody for it; False when somebody had decided already."""
    with transaction.atomic():
        if not wave.decide(Decision.FORGIVEN, by=by):
            return False
        wave.bounces.filter(standing=Standing.HELD).update(standing=Standing.FORGIVEN)
    log.info("wave=%s about=%s decision=forgiven by=%s", wave.pk, wave, by)
    return True


def confirm(wave: Wave, *, by: object = None) -> bool:
    """Count everybody in it after all; False when somebody had decided already."""
    with transaction.atomic():
        if not wave.decide(Decision.COUNTED, by=by):
            return False
        # The clock counts them: there may be thousands.
        wave.bounces.filter(standing=Standing.HELD).update(standing=Standing.FRESH)
    log.info("wave=%s about=%s decision=counted by=%s", wave.pk, wave, by)
    return True


def _is_wave(failed: int, total: int) -> bool:
    return is_wave(
        failed,
        total,
        least=settings.BOUNCE_WAVE_COPIES,
        percent=settings.BOUNCE_WAVE_PERCENT,
    )


def _hold_post(number: int, bounces: BounceQuerySet) -> None:
    wave = Wave.objects.open().filter(post=number).first()
    if wave is None:
        post = Post.objects.get(pk=number)
        all_of_it = Bounce.objects.against_members().filter(
            delivery__outgoing=post.outgoing_id
        )
        failed = all_of_it.count()
        if not _is_wave(failed, post.recipients):
            return
        wave = _open(failed, post.recipients, post=post)
    _hold(wave, bounces)


def _hold_domain(domain: str, count: int, bounces: BounceQuerySet) -> None:
    wave = Wave.objects.open().filter(post=None, domain=domain).first()
    if wave is None:
        if count <= settings.BOUNCE_WAVE_COPIES:
            return
        total = Subscriber.objects.filter(domain=domain).count()
        if not _is_wave(count, total):
            return
        wave = _open(count, total, domain=domain)
    _hold(wave, bounces)


@transaction.atomic
def _open(
    failed: int, total: int, *, post: Post | None = None, domain: str = ""
) -> Wave:
    """Another process may have been faster: it has told people then."""
    wave, is_new = Wave.objects.get_or_create(
        post=post,
        domain=domain,
        decision=Decision.OPEN,
        defaults={"failed": failed, "total": total},
    )
    if is_new:
        log.error("wave=%s about=%s failed=%s of=%s", wave.pk, wave, failed, total)
        notices.wave(wave)
    return wave


def _hold(wave: Wave, bounces: BounceQuerySet) -> None:
    if bounces.update(standing=Standing.HELD, wave=wave):
        held = wave.bounces.order_by()
        people = Count("subscription__subscriber", distinct=True)
        counted = held.aggregate(copies=Count("id"), people=people)
        count = counted["people" if wave.domain else "copies"]
        wave.failed = max(wave.failed, count)
        wave.save(update_fields=["failed"])


@transaction.atomic
def _count(number: int) -> bool:
    """Raise the score, and suspend at the list's limit (0: never)."""
    row = Bounce.objects.filter(pk=number).values_list("subscription", flat=True)
    subscription = (
        Subscription.objects.select_for_update(of=("self",))
        .select_related("subscriber", "mailing_list__address__domain")
        .filter(pk__in=list(row))
        .first()
    )
    bounce = Bounce.objects.fresh().filter(pk=number).first()
    if subscription is None or bounce is None:
        return False
    bounce.standing = Standing.COUNTED
    bounce.save(update_fields=["standing"])
    before = subscription.bounce_score, subscription.last_bounce_on
    after = score.count(*before, bounce.kind, timezone.localdate(bounce.at))
    if after == before:
        return True
    subscription.bounce_score, subscription.last_bounce_on = after
    subscription.last_bounce = bounce.words
    subscription.save(update_fields=["bounce_score", "last_bounce_on", "last_bounce"])
    if 0 < subscription.mailing_list.bounce_limit <= subscription.bounce_score:
        suspend(subscription, bounce)
    return True
