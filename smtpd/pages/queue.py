"""What waits, for whom and why; and an operator's three verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Min, Q
from django.db.models.functions import Greatest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from smtpd.access import deliveries_of, operators_only
from smtpd.forms import DeliveryFilter, VerbForm
from smtpd.models import Delivery, Destination, Outgoing
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.queue import actions

PER_PAGE = 50
State = Delivery.State
# What somebody may have to do something about.
OPEN = (State.QUEUED, State.HELD, State.QUARANTINED, State.FAILED)
# What cancelling takes hold of; a failed delivery is at its end already.
STOPPABLE = (State.QUEUED, State.HELD, State.QUARANTINED)
VERBS: dict[str, tuple[Callable[[DeliveryQuerySet], int], str]] = {
    "retry": (actions.retry, "due now"),
    "hold": (actions.hold, "on hold"),
    "cancel": (actions.cancel, "cancelled"),
}


@require_safe
@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """Numbers, destinations and one page of rows."""
    form = DeliveryFilter(request.GET)
    chosen = form.chosen
    rows = deliveries_of(request.user)
    page = Paginator(_filtered(rows, chosen), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {"page": page, "chosen": chosen, "form": form, **_numbers(rows)}
    return render(request, "smtpd/queue.html", context)


@require_safe
@operators_only
def numbers(request: HttpRequest) -> HttpResponse:
    """The part of the page that renews itself."""
    context = _numbers(deliveries_of(request.user))
    return render(request, "smtpd/_numbers.html", context)


@require_POST
@operators_only
def act(request: HttpRequest) -> HttpResponse:
    """Retry, hold or cancel; cancelling asks first, as it cannot be undone."""
    form = VerbForm(request.POST)
    back = _way_back(request)
    if not form.is_valid() or not (
        form.cleaned_data["pick"] or request.POST.get("message")
    ):
        messages.warning(request, "Nothing was selected, so nothing was changed.")
        return redirect(back)
    data = form.cleaned_data
    rows = _picked(deliveries_of(request.user), data)
    if data["do"] == "cancel" and not data["sure"]:
        count = rows.filter(state__in=STOPPABLE).count()
        context = {"data": data, "back": back, "count": count}
        return render(request, "smtpd/cancel.html", context)
    verb, done = VERBS[data["do"]]
    _tell(request, verb(rows), done)
    return redirect(back)


def _numbers(rows: DeliveryQuerySet) -> dict[str, Any]:
    """What is open, by state and lane; destinations that have or had trouble."""
    is_open = rows.filter(state__in=OPEN).order_by()
    counts = is_open.values_list("state", "lane").annotate(n=Count("id"))
    by_state: dict[str, int] = dict.fromkeys(OPEN, 0)
    by_lane: dict[int, int] = dict.fromkeys(Outgoing.Lane.values, 0)
    for state, lane, count in counts:
        by_state[state] += count
        if state == State.QUEUED:
            by_lane[lane] += count
    return {
        "by_state": by_state,
        "fast": by_lane[Outgoing.Lane.FAST],
        "bulk": by_lane[Outgoing.Lane.BULK],
        "destinations": _destinations(rows),
        "now": timezone.now(),
    }


def _destinations(rows: DeliveryQuerySet) -> list[dict[str, Any]]:
    """Each next hop with mail waiting, and each one that failed lately."""
    waiting = {
        name: (count, first)
        for name, count, first in rows.waiting()
        .order_by()
        .values_list("destination")
        .annotate(n=Count("id"), first=Min(Greatest("next_attempt_at", "updated_at")))
    }
    known = {
        row.name: row
        for row in Destination.objects.filter(Q(name__in=waiting) | Q(failures__gt=0))[
            :PER_PAGE
        ]
    }
    return [
        {
            "name": name,
            "row": known.get(name),
            "waiting": waiting.get(name, (0, None))[0],
            "next": waiting.get(name, (0, None))[1],
        }
        for name in sorted({*waiting, *known})[:PER_PAGE]
    ]


def _filtered(rows: DeliveryQuerySet, chosen: dict[str, str]) -> DeliveryQuerySet:
    if chosen["state"] != "any":
        rows = rows.filter(state=chosen["state"])
    if chosen["destination"]:
        rows = rows.filter(destination=chosen["destination"])
    if word := chosen["q"]:
        by_key = Q(outgoing__message__key=word.lower())
        rows = rows.filter(by_key | Q(address__icontains=word))
    is_waiting = chosen["state"] == State.QUEUED
    return (
        rows.select_related("outgoing__message")
        .only(
            *(field.attname for field in Delivery._meta.concrete_fields),
            "outgoing__created_at",
            "outgoing__message__key",
            "outgoing__message__subject",
        )
        .order_by(*(("next_attempt_at", "id") if is_waiting else ("-id",)))
    )


def _picked(rows: DeliveryQuerySet, data: dict[str, Any]) -> DeliveryQuerySet:
    if data["message"]:
        return rows.filter(outgoing__message__key=data["message"])
    return rows.filter(pk__in=data["pick"])


def _tell(request: HttpRequest, count: int, done: str) -> None:
    if count:
        noun = "delivery is" if count == 1 else "deliveries are"
        messages.success(request, f"{count} {noun} {done}.")
    else:
        messages.info(
            request,
            "Nothing was changed: they are at an end already, or a worker has them"
            " in its hands right now.",
        )


def _way_back(request: HttpRequest) -> str:
    """The page the form was on, if it is one of ours."""
    back = request.POST.get("back", "")
    hosts = {request.get_host()}
    return back if url_has_allowed_host_and_scheme(back, hosts) else "smtpd:queue"
