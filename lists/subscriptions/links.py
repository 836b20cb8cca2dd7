"""The links in our mail: the token in them is all the right one needs.

A GET shows what the button will do, because mail scanners follow links.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from lists.models import Request, Subscription
from lists.subscriptions import actions, asking
from smtpd import tokens
from smtpd.tokens import Purpose


def _read(purpose: Purpose, token: str) -> int:
    number = tokens.read(purpose, token)
    if number is None:
        raise Http404("forged or cut token")
    return number


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """One click (RFC 8058 3.1): a POST without cookie is enough, and repeatable."""
    number = _read(Purpose.UNSUBSCRIBE, token)
    subscription = (
        Subscription.objects.filter(pk=number)
        .select_related("subscriber", "mailing_list__address__domain")
        .first()
    )
    is_last = subscription is not None and actions.is_last_owner(subscription)
    if request.method == "POST":
        actions.unsubscribe(token)
    context = {
        "subscription": subscription,
        "is_done": request.method == "POST",
        "is_last_owner": is_last,
    }
    return render(request, "lists/subscriptions/unsubscribe.html", context)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody asked for is done when the owner of the address says yes."""
    wish = get_object_or_404(
        Request.objects.select_related("mailing_list__address__domain"),
        pk=_read(Purpose.CONFIRM, token),
    )
    is_post = request.method == "POST"
    context = {
        "wish": wish,
        "is_done": is_post and asking.confirm(wish),
        "is_post": is_post,
    }
    return render(request, "lists/subscriptions/confirm.html", context)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, token: str) -> HttpResponse:
    """A member whose mail came back says that the address works again."""
    subscription = get_object_or_404(
        Subscription.objects.select_related(
            "subscriber", "mailing_list__address__domain"
        ),
        pk=_read(Purpose.RESUME, token),
    )
    is_done = request.method == "POST" and actions.resume(subscription)
    context = {"subscription": subscription, "is_done": is_done}
    return render(request, "lists/subscriptions/resume.html", context)
