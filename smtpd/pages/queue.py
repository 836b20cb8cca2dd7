"""What waits, for whom and why; live, and down to one recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from smtpd.access import deliveries_of, operators_only, runs_site
from smtpd.backlog import BAND_NAMES, Backlog, estimate_backlog, sparingly, stand
from smtpd.forms import DeliveryFilter
from smtpd.models import Delivery, Destination, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.patience import TooLong, at_most
from smtpd.queue import pace
from smtpd.sampling import rough
from smtpd.searching import newest
from smtpd.selection import Pages, bounded, in_line, light, select, tell_rests

PER_PAGE = 50
# Destinations shown at once: the fullest, and those in trouble.
MOST_SHOWN = 30
LATELY = timedelta(days=1)
# Seconds for one statement: of what somebody asks for, and of the numbers.
PATIENCE = 2
LONG = 60
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
    # There is so much that a sample was counted.
    is_rough: bool = False


@require_safe
@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """Numbers, destinations and one page of rows."""
    form = DeliveryFilter(request.GET)
    chosen = form.chosen
    rows = deliveries_of(request.user)
    try:
        with at_most(PATIENCE):
            shown = _searched(form, rows) if form.is_search else _paged(request, rows)
    except TooLong:
        shown = {"is_too_long": True}
    context = {
        **shown,
        "chosen": chosen,
        "form": form,
        "is_narrowed": any(chosen[name] for name in ("destination", "to", "q")),
        **_host(request, chosen["destination"]),
        **_numbers(request, rows),
    }
    return render(request, "smtpd/queue.html", context)


def _paged(request: HttpRequest, rows: DeliveryQuerySet) -> dict[str, Any]:
    """Rows in their order, a page of them."""
    chosen = DeliveryFilter(request.GET).chosen
    found = select(rows, chosen)
    is_line = chosen["state"] == State.QUEUED
    ordered = in_line(found) if is_line else found.order_by("-id")
    return {"page": _page(ordered, request.GET.get("page"))}


def _searched(form: DeliveryFilter, rows: DeliveryQuerySet) -> dict[str, Any]:
    """The newest of somebody's copies, and where to look further."""
    before = form.cleaned_data.get("before")
    found = newest(select(rows, form.chosen), PER_PAGE, before)
    ordered = rows.filter(pk__in=found.pks).order_by("-id")
    return {
        "page": _page(ordered),
        "before": found.before,
        "until": _written_at(found.before),
        "is_part": bool(found.before or before),
    }


def _page(rows: DeliveryQuerySet, number: str | None = None) -> Page[Delivery]:
    page: Page[Delivery] = Pages(light(rows), PER_PAGE).get_page(number)
    # Read here and now, while the time is measured.
    page.object_list = list(page.object_list)
    tell_rests(page.object_list)
    return page


def _written_at(pk: int | None) -> datetime | None:
    """When the first row was queued that was looked at."""
    if pk is None:
        return None
    later = Delivery.objects.filter(pk__gte=pk).order_by("id")
    return later.values_list("outgoing__created_at", flat=True).first()


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
    row = get_object_or_404(rows, pk=pk)
    tell_rests([row])
    context = {"row": row, "now": timezone.now()}
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
    with at_most(LONG, by_index=True):
        found = estimate_backlog(rows)
        overview = Overview(_by_state(found))
        fast = rows.waiting().filter(lane=Outgoing.Lane.FAST)
        failed = rows.filter(state=State.FAILED, updated_at__gt=timezone.now() - LATELY)
        overview.fast, overview.failed = map(bounded, (fast, failed))
    overview.in_hands = sum(backlog.in_hands for backlog in found)
    overview.is_rough = any(backlog.is_rough for backlog in found)
    if is_site:
        overview.rate = pace.per_second()
        found += _troubled({backlog.destination for backlog in found})
    shown, rest = found[:MOST_SHOWN], found[MOST_SHOWN:]
    overview.destinations = shown
    overview.more, overview.more_copies = len(rest), sum(each.count for each in rest)
    if overview.is_rough:
        _round(overview)
    return overview


def _by_state(found: list[Backlog]) -> dict[str, int]:
    states = (State.QUEUED, State.HELD, State.QUARANTINED)
    return {
        state: sum(backlog.states.get(state, 0) for backlog in found)
        for state in states
    }


def _round(overview: Overview) -> None:
    overview.by_state = {
        state: rough(count) if state == State.QUEUED else count
        for state, count in overview.by_state.items()
    }
    overview.in_hands = rough(overview.in_hands)
    overview.more_copies = rough(overview.more_copies)


def _troubled(known: set[str]) -> list[Backlog]:
    """Destinations nobody waits for that somebody holds, or that failed."""
    troubled = []
    for host in Destination.objects.troubled()[:MOST_SHOWN]:
        if host.name not in known:
            backlog = Backlog(host.name)
            stand(backlog, host)
            troubled.append(backlog)
    return troubled


def _host(request: HttpRequest, name: str) -> dict[str, Any]:
    """The destination that the page is about, for whoever may hold it."""
    if not name or not runs_site(request.user):
        return {}
    backlog = Backlog(name)
    host = Destination.objects.filter(name=name).first()
    if host:
        stand(backlog, host)
    return {
        "host": backlog,
        "limited": host,
        "limits_url": _limits(request, name, host),
    }


def _limits(request: HttpRequest, name: str, host: Destination | None) -> str:
    """Where its limits are set; empty for who may not."""
    what = "change" if host else "add"
    may = request.user.has_perm(f"smtpd.{what}_destination")
    if not (may and admin.site.has_permission(request)):
        return ""
    if host:
        return reverse("admin:smtpd_destination_change", args=[host.pk])
    return f"{reverse('admin:smtpd_destination_add')}?{urlencode({'name': name})}"
