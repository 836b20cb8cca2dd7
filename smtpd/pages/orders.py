"""Orders about mail that waits: first what they would touch, then what they did."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from smtpd import backlog
from smtpd.access import deliveries_of, operators_only, runs_site
from smtpd.forms import DeliveryFilter, OrderForm
from smtpd.models import Delivery
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.queue import order_words, orders
from smtpd.queue.orders import Order
from smtpd.selection import select


@require_POST
@operators_only
def act(request: HttpRequest) -> HttpResponse:
    """Ask whether one is sure, then do it."""
    form = OrderForm(request.POST)
    back = _way_back(request)
    if not form.is_valid() or not form.names_something:
        messages.warning(request, "Nothing was selected, so nothing was changed.")
        return redirect(back)
    data = form.cleaned_data
    if data["host"]:
        return _about_host(request, data, back)
    order, rows = Order(data["do"]), _meant(deliveries_of(request.user), data)
    if not data["sure"]:
        reach = orders.reach(order, rows)
        asked = {
            "order": order,
            "count": reach.count or len(reach.resting),
            "copies": order_words.what(reach),
            "before": order_words.before(reach),
            "besides": list(order_words.besides(reach)),
        }
        return _ask(request, data, back, asked)
    done = orders.give(order, rows, _name(request))
    backlog.forget()
    level = messages.SUCCESS if done.count or done.woken else messages.INFO
    messages.add_message(request, level, order_words.after(done))
    return redirect(back)


def _about_host(request: HttpRequest, data: dict[str, Any], back: str) -> HttpResponse:
    """Hold or release a destination: whoever runs the site, for all domains."""
    name, is_hold = data["host"], data["do"] == Order.HOLD
    if not runs_site(request.user) or data["do"] not in (Order.HOLD, Order.RELEASE):
        raise Http404("not theirs")
    if is_hold and not data["sure"]:
        waiting = Delivery.objects.waiting().filter(destination=name).count()
        asked = {
            "order": Order.HOLD,
            "count": 1,
            "copies": order_words.server(name),
            "before": order_words.before_holding(name, waiting),
            "besides": order_words.HELD_HOST,
        }
        return _ask(request, data, back, asked)
    if is_hold:
        was = orders.hold_destination(name, _name(request))
    else:
        was = orders.release_destination(name, _name(request))
    backlog.forget()
    words = order_words.after_host(name, is_hold=is_hold, has_changed=was)
    messages.add_message(request, messages.SUCCESS if was else messages.INFO, words)
    return redirect(back)


def _ask(
    request: HttpRequest, data: dict[str, Any], back: str, asked: dict[str, Any]
) -> HttpResponse:
    return render(request, "smtpd/order.html", {"data": data, "back": back, **asked})


def _meant(rows: DeliveryQuerySet, data: dict[str, Any]) -> DeliveryQuerySet:
    """Those picked, all of a message, or all that the page's filter shows."""
    if data["message"]:
        return rows.filter(outgoing__message__key=data["message"])
    if data["whole"]:
        return select(rows, DeliveryFilter(QueryDict(data["filter"])).chosen)
    return rows.filter(pk__in=data["pick"])


def _name(request: HttpRequest) -> str:
    return str(getattr(request.user, "email", "") or request.user)


def _way_back(request: HttpRequest) -> str:
    """The page the form was on, if it is one of ours."""
    back = request.POST.get("back", "")
    hosts = {request.get_host()}
    return back if url_has_allowed_host_and_scheme(back, hosts) else "/queue/"
