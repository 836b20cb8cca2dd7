"""The member pages of a list, for its owners."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from lists import access
from lists.access import Role
from lists.members import actions
from lists.members.forms import AddForm, FilterForm, MemberForm
from lists.models import MailingList, Subscription
from lists.models.subscription import SubscriptionQuerySet
from lists.subscriptions import actions as subscriptions
from smtpd.models import Delivery

PAGE = 50
HISTORY = 20
BY = Subscription.SuspendedBy
FILTERS = {
    "receiving": Q(mode=Subscription.Mode.EACH, suspended_by=BY.NOBODY),
    "digest": Q(mode=Subscription.Mode.DIGEST),
    "none": Q(mode=Subscription.Mode.NONE),
    "paused": Q(suspended_by__in=(BY.MEMBER, BY.OWNER)),
    "bouncing": Q(suspended_by=BY.BOUNCES),
}


def _filtered(mlist: MailingList, form: FilterForm) -> SubscriptionQuerySet:
    rows = mlist.subscriptions.select_related("subscriber")
    if not form.is_valid():
        return rows
    wanted = form.cleaned_data
    if wanted["q"]:
        words = wanted["q"].strip()
        rows = rows.filter(
            Q(subscriber__folded__contains=words.lower())
            | Q(subscriber__name__icontains=words)
        )
    if wanted["role"]:
        rows = rows.filter(role=wanted["role"])
    return rows.filter(FILTERS.get(wanted["state"], Q()))


@require_safe
def members(request: HttpRequest, address: str) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    form = FilterForm(request.GET)
    page = Paginator(_filtered(mlist, form), PAGE).get_page(request.GET.get("page"))
    context = {
        "mlist": mlist,
        "role": Role.OWNER,
        "form": form,
        "page": page,
        "total": mlist.subscriptions.count(),
        "receiving": mlist.subscriptions.receiving().count(),
        "bouncing": mlist.subscriptions.filter(FILTERS["bouncing"]).count(),
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "lists/members/members.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, address: str) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    wanted = {"address": request.GET.get("address", "")[:320]}
    form = AddForm(request.POST or None, initial=wanted)
    if request.method == "POST" and form.is_valid():
        try:
            subscription, is_new = subscriptions.join(
                mlist,
                form.cleaned_data["address"],
                name=form.cleaned_data["name"],
                role=form.cleaned_data["role"],
                welcome=True,
            )
        except ValidationError as error:
            form.add_error("address", error)
        else:
            who = subscription.subscriber
            said = (
                f"{who} is on the list now." if is_new else f"{who} was on it already."
            )
            messages.success(request, said)
            return redirect("lists:members-add", address)
    context = {"mlist": mlist, "role": Role.OWNER, "form": form}
    return render(request, "lists/members/add.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    subscription = _member(mlist, pk)
    # The form writes what it read into its instance: it gets one of its own.
    form = MemberForm(request.POST or None, instance=_member(mlist, pk))
    if request.method == "POST" and form.is_valid():
        try:
            _change(subscription, form.cleaned_data)
        except ValidationError as error:
            form.add_error("role", error)
        else:
            messages.success(request, "Saved.")
            return redirect("lists:members-member", address, pk)
    bounces = list(subscription.bounces.all()[:HISTORY])
    context = {
        "mlist": mlist,
        "role": Role.OWNER,
        "member": subscription,
        "form": form,
        "bounces": bounces,
        "moved_to": bounces[0].moved_to if bounces else "",
        "deliveries": _deliveries(mlist, subscription),
    }
    return render(request, "lists/members/member.html", context)


def _member(mlist: MailingList, pk: int) -> Subscription:
    rows = mlist.subscriptions.select_related("subscriber", "mailing_list")
    return get_object_or_404(rows, pk=pk)


def _change(subscription: Subscription, wanted: dict[str, str]) -> None:
    """Do what changed, each by its own verb."""
    if wanted["role"] != subscription.role:
        subscriptions.set_role(subscription, wanted["role"])
    if wanted["mode"] != subscription.mode:
        subscriptions.set_mode(subscription, wanted["mode"])
    if wanted["posting"] != subscription.posting:
        actions.set_posting(subscription, wanted["posting"])


def _deliveries(mlist: MailingList, subscription: Subscription) -> list[Delivery]:
    """The member's copies of the list's last posts."""
    sent = mlist.posts.exclude(outgoing=None).values_list("outgoing_id", flat=True)
    copies = Delivery.objects.filter(
        outgoing__in=list(sent[:HISTORY]), ref=subscription.pk
    )
    return list(copies.select_related("outgoing__message").order_by("-id"))


@require_POST
def pause(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    subscriptions.pause(_member(mlist, pk), BY.OWNER)
    messages.success(request, "Paused: nothing is sent to this member.")
    return redirect("lists:members-member", address, pk)


@require_POST
def resume(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    subscriptions.resume(_member(mlist, pk), BY.OWNER)
    messages.success(request, "Mail is sent to this member again.")
    return redirect("lists:members-member", address, pk)


@require_POST
def remove(request: HttpRequest, address: str) -> HttpResponse:
    """Show who would be removed; with `sure` in the form, remove them."""
    mlist = access.list_for_owner(request.user, address)
    ids = [int(pk) for pk in request.POST.getlist("members") if pk.isdecimal()]
    leaving = mlist.subscriptions.filter(pk__in=ids).select_related("subscriber")
    if not leaving:
        messages.error(request, "Select at least one member first.")
        return redirect("lists:members", address)
    if "sure" not in request.POST:
        context = {"mlist": mlist, "role": Role.OWNER, "leaving": leaving}
        return render(request, "lists/members/remove.html", context)
    try:
        count = actions.remove(mlist, ids)
        messages.success(request, f"Removed from the list: {count}.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("lists:members", address)
