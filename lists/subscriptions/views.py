"""Signing up on a list's page, and a member's own subscriptions."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from lists import access
from lists.models import Subscription
from lists.subscriptions import actions, asking
from lists.subscriptions.forms import JoinForm, ModeForm


@require_POST
def join(request: HttpRequest, address: str) -> HttpResponse:
    """Ask to join, or with the other button to leave; tell nobody who is on it."""
    mlist = access.list_for_reader(request.user, address)
    form = JoinForm(request.POST)
    source = request.META.get("REMOTE_ADDR", "")
    if form.is_valid():
        email, name = form.cleaned_data["email"], form.cleaned_data["name"]
        try:
            if "leave" in request.POST:
                asking.ask_to_leave(mlist, email, asked_from=source)
            else:
                asking.ask_to_join(mlist, email, name=name, asked_from=source)
            return redirect("lists:subscriptions-asked", address)
        except ValidationError as error:
            form.add_error("email", error)
    context = {"mlist": mlist, "form": form, "is_leaving": "leave" in request.POST}
    return render(request, "lists/subscriptions/join.html", context)


@require_safe
def asked(request: HttpRequest, address: str) -> HttpResponse:
    """The one answer to every wish, whoever is or is not a member."""
    mlist = access.list_for_reader(request.user, address)
    return render(request, "lists/subscriptions/asked.html", {"mlist": mlist})


@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    rows = access.subscriptions_of(request.user).select_related(
        "subscriber", "mailing_list__address__domain"
    )
    context = {
        "rows": [(row, ModeForm(initial={"mode": row.mode})) for row in rows],
        "bounced": [row for row in rows if row.suspended_by == "bounces"],
    }
    return render(request, "lists/subscriptions/mine.html", context)


def _own(request: HttpRequest, pk: int) -> Subscription:
    """One of the person's own; anybody else's does not exist."""
    rows = access.subscriptions_of(request.user).select_related(
        "subscriber", "mailing_list__address__domain"
    )
    return get_object_or_404(rows, pk=pk)


@login_required
@require_POST
def mode(request: HttpRequest, pk: int) -> HttpResponse:
    subscription = _own(request, pk)
    form = ModeForm(request.POST)
    if form.is_valid():
        actions.set_mode(subscription, form.cleaned_data["mode"])
        said = subscription.get_mode_display().lower()
        messages.success(request, f"{subscription.mailing_list}: {said}.")
    return redirect("lists:subscriptions-mine")


@login_required
@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    subscription = _own(request, pk)
    actions.pause(subscription, Subscription.SuspendedBy.MEMBER)
    messages.success(
        request, f"{subscription.mailing_list} sends you nothing until you resume."
    )
    return redirect("lists:subscriptions-mine")


@login_required
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    subscription = _own(request, pk)
    if actions.resume(subscription):
        messages.success(request, f"{subscription.mailing_list} sends you mail again.")
    else:
        messages.warning(request, "An owner stopped it: ask them to resume it.")
    return redirect("lists:subscriptions-mine")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest, pk: int) -> HttpResponse:
    subscription = _own(request, pk)
    if request.method != "POST":
        is_last = actions.is_last_owner(subscription)
        context = {"subscription": subscription, "is_last_owner": is_last}
        return render(request, "lists/subscriptions/leave.html", context)
    try:
        actions.leave(subscription)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("lists:subscriptions-leave", pk)
    messages.success(request, f"You have left {subscription.mailing_list}.")
    return redirect("lists:subscriptions-mine")
