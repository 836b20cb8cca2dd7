"""The pages of the list itself, and the home page that names them all."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from lists import access, actions
from lists.access import Role
from lists.forms import CreateForm, DeleteForm, SettingsForm
from lists.models import MailingList, Post, Subscription
from lists.posting import writing
from lists.subscriptions.forms import JoinForm
from smtpd.models import Domain

RECENT = 5


def _public() -> QuerySet[MailingList]:
    members = Count("subscriptions", distinct=True)
    lists = MailingList.objects.select_related("address__domain")
    return lists.filter(is_public=True, address__is_enabled=True).annotate(
        members=members
    )


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = request.user
    if not user.is_authenticated:
        return render(request, "lists/welcome.html", {"public": _public()})
    held = Count("posts", filter=Q(posts__state=Post.State.HELD), distinct=True)
    # The same person may be on a list with two addresses: the higher role shows.
    roles: dict[int, Subscription] = {}
    for row in access.subscriptions_of(user).select_related("subscriber"):
        known = roles.get(row.mailing_list_id)
        if (
            known is None
            or access.ROLES[Subscription.Role(known.role)]
            < access.ROLES[Subscription.Role(row.role)]
        ):
            roles[row.mailing_list_id] = row
    mine = access.lists_with_role(user, Role.MEMBER).annotate(held=held)
    rows = [(mlist, roles.get(mlist.pk)) for mlist in mine]
    context = {
        "mine": rows,
        "public": _public().exclude(pk__in=[mlist.pk for mlist, _ in rows]),
        "may_create": Domain.objects.run_by(user).exists(),
    }
    return render(request, "lists/home.html", context)


@require_safe
def show(request: HttpRequest, address: str) -> HttpResponse:
    mlist = access.list_for_reader(request.user, address)
    role = access.role_on(request.user, mlist)
    may_read = access.may_read_posts(mlist, role)
    recent = mlist.posts.filter(state=Post.State.ACCEPTED)[:RECENT] if may_read else ()
    context = {
        "mlist": mlist,
        "role": role,
        "recent": recent,
        "may_read": may_read,
        "may_write": writing.may_write(mlist, request.user),
        "form": JoinForm(),
        "owner_address": mlist.sub_address("owner"),
        "members": mlist.subscriptions.count(),
        "mine": access.subscriptions_of(request.user)
        .filter(mailing_list=mlist)
        .select_related("subscriber")
        .first(),
    }
    return render(request, "lists/show.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if not Domain.objects.run_by(request.user).exists():
        raise Http404("runs no domain")
    form = CreateForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        owner = str(getattr(request.user, "email", ""))
        name = form.cleaned_data["name"]
        try:
            mlist = actions.create_list(
                form.address, name, owner=owner, **form.settings
            )
        except ValidationError as error:
            form.add_error("local_part", error.messages)
        else:
            messages.success(request, f"{name} is ready. Now add its members.")
            return redirect("lists:members-add", mlist.posting_address)
    return render(request, "lists/create.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, address: str) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    form = SettingsForm(request.POST or None, instance=mlist)
    if request.method == "POST" and form.is_valid():
        try:
            actions.update_list(mlist, **form.settings)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "Saved. It holds from the next message on.")
            return redirect("lists:settings", address)
    context = {"mlist": mlist, "role": Role.OWNER, "form": form}
    return render(request, "lists/settings.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, address: str) -> HttpResponse:
    mlist = access.list_for_owner(request.user, address)
    form = DeleteForm(request.POST or None, mlist=mlist)
    if request.method == "POST" and form.is_valid():
        actions.delete_list(mlist)
        messages.success(request, f"{mlist.name} is deleted.")
        return redirect("lists:home")
    context = {
        "mlist": mlist,
        "role": Role.OWNER,
        "form": form,
        "members": mlist.subscriptions.count(),
        "posts": mlist.posts.count(),
    }
    return render(request, "lists/delete.html", context)
