"""What waits, for whom and why; live, and down to one recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from smtpd.access import deliveries_of, operators_only, runs_site
from smtpd.backlog import BAND_NAMES, Backlog, read_backlog, sparingly, stand
from smtpd.forms import DeliveryFilter
from smtpd.models import Delivery, Destination, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.queue import pace
from smtpd.selection import Pages, in_line, light, select

PER_PAGE = 50
# Destinations shown at once: the fullest, and those in trouble.
MOST_SHOWN = 30
LATELY = timedelta(days=1)
State = Delivery.State


@dataclass
class Overview:
    """The numbers of the page."""

    by_state: dict[str, int]
    fast: int = 0
    in_hands: int = 0
    # In the last day.
    failed: int = 0
    rate: float | None = None
    destinations: list[Backlog] = field(default_factory=list)
    # What is not shown: destinations, and copies for them.
    more: int = 0
    more_copies: int = 0


@require_safe
@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """Numbers, destinations and one page of rows."""
    form = DeliveryFilter(request.GET)
    chosen = form.chosen
    rows = deliveries_of(request.user)
    found = select(rows, chosen)
    ordered = (
        in_line(found) if chosen["state"] == State.QUEUED else found.order_by("-id")
    )
    context = {
        "page": Pages(light(ordered), PER_PAGE).get_page(request.GET.get("page")),
        "chosen": chosen,
        "form": form,
        "is_narrowed": any(chosen[name] for name in ("destination", "to", "q")),
        "host": _host(request, chosen["destination"]),
        **_numbers(request, rows),
    }
    return render(request, "smtpd/queue.html", context)


@require_safe
@operators_only
def numbers(request: HttpRequest) -> HttpResponse:
    """The part of the page that renews itself."""
    context = _numbers(request, deliveries_of(request.user))
    return render(request, "smtpd/_numbers.html", context)


@require_safe
@operators_only
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    """One recipient's copy: all that is known of it."""
    rows = light(deliveries_of(request.user))
    context = {"row": get_object_or_404(rows, pk=pk), "now": timezone.now()}
    return render(request, "smtpd/delivery.html", context)


def _numbers(request: HttpRequest, rows: DeliveryQuerySet) -> dict[str, Any]:
    """The same for all site admins; a domain's admin has few rows."""
    is_site = runs_site(request.user)
    if is_site:
        overview, at = sparingly("queue", lambda: _overview(rows, is_site=True))
    else:
        overview, at = _overview(rows, is_site=False), timezone.now()
    return {
        "overview": overview,
        "bands": BAND_NAMES,
        "is_site": is_site,
        "at": at,
        "is_kept": _is_old(at),
        "now": timezone.now(),
    }


def _is_old(at: datetime) -> bool:
    return timezone.now() - at > timedelta(seconds=2)


def _overview(rows: DeliveryQuerySet, *, is_site: bool) -> Overview:
    """Of all that is at no end; trouble of servers only for whoever runs the site."""
    found = read_backlog(rows)
    overview = Overview(dict.fromkeys((State.QUEUED, State.HELD, State.QUARANTINED), 0))
    for backlog in found:
        overview.in_hands += backlog.in_hands
        for state, count in backlog.states.items():
            overview.by_state[state] += count
    lane = Outgoing.Lane.FAST
    overview.fast = rows.waiting().filter(lane=lane).count()
    since = timezone.now() - LATELY
    failed = rows.filter(state=State.FAILED, updated_at__gt=since)
    overview.failed = failed.aggregate(n=Count("id"))["n"]
    if is_site:
        overview.rate = pace.per_second()
        found += _troubled({backlog.destination for backlog in found})
    shown, rest = found[:MOST_SHOWN], found[MOST_SHOWN:]
    overview.destinations = shown
    overview.more, overview.more_copies = len(rest), sum(each.count for each in rest)
    return overview


def _troubled(known: set[str]) -> list[Backlog]:
    """Destinations nobody waits for that somebody holds, or that failed."""
    troubled = []
    rows = Destination.objects.filter(Q(failures__gt=0) | Q(held_at__isnull=False))
    for host in rows.order_by("-last_failure_at")[:MOST_SHOWN]:
        if host.name not in known:
            backlog = Backlog(host.name)
            stand(backlog, host)
            troubled.append(backlog)
    return troubled


def _host(request: HttpRequest, name: str) -> Backlog | None:
    """The destination that the page is about, for whoever may hold it."""
    if not name or not runs_site(request.user):
        return None
    backlog = Backlog(name)
    if host := Destination.objects.filter(name=name).first():
        stand(backlog, host)
    return backlog
