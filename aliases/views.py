"""The pages of the aliases. Who runs a domain runs its aliases."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from aliases import actions
from aliases.access import alias_for_admin, aliases_of
from aliases.actions import Refused
from aliases.forms import AliasForm, NewAliasForm
from aliases.models import Alias
from aliases.moving import views as moving
from aliases.targets import admins_of
from smtpd.access import domains_of, operators_only
from smtpd.models import Address
from smtpd.replies import Reply
from smtpd.routing import explain

PER_PAGE = 50
# Targets named in the table; the rest is a number.
SHOWN = 2


@require_safe
@operators_only
def index(request: HttpRequest) -> HttpResponse:
    """All of them, or those a word is found in."""
    query = request.GET.get("q", "").strip()[:200]
    found = aliases_of(request.user).annotate(
        count=Count("targets", distinct=True), more=F("count") - SHOWN
    )
    if query:
        local_part, _, domain = query.partition("@")
        by_address = Q(address__local_part__icontains=local_part) & Q(
            address__domain__name__icontains=domain
        )
        by_target = Q(pk__in=Alias.objects.filter(targets__mailbox__icontains=query))
        by_move = Q(address__moved_to__icontains=query)
        by_note = Q(description__icontains=query)
        found = found.filter(by_address | by_target | by_move | by_note)
    found = found.order_by("address__domain__name", "address__local_part")
    page = Paginator(found.prefetch_related("targets"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    domains = domains_of(request.user).exists()
    context = {"page": page, "query": query, "has_domains": domains}
    return render(request, "aliases/index.html", context)


@operators_only
def create(request: HttpRequest) -> HttpResponse:
    """A new alias; a refusal keeps all that was typed."""
    wanted = domains_of(request.user).filter(name=request.GET.get("at", "")).first()
    form = NewAliasForm(
        request.POST or None, user=request.user, initial={"domain": wanted}
    )
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            alias = actions.create(form.address, data["targets"], data["description"])
            actions.set_last_day(alias, data["last_day"])
        except Refused as refusal:
            form.add_error("targets", refusal)
        else:
            messages.success(request, f"{alias} takes mail now.")
            return redirect("aliases:show", address=str(alias))
    return render(request, "aliases/create.html", {"form": form})


@login_required
def show(request: HttpRequest, address: str) -> HttpResponse:
    """One alias: its targets to edit, and where mail to it goes now."""
    alias = alias_for_admin(request.user, address)
    if alias.address.kind == Address.Kind.MOVED:
        return moving.show(request, alias)
    saved = [target.mailbox for target in alias.targets.all()]
    initial = {
        "targets": "\n".join(saved),
        "description": alias.description,
        "last_day": alias.address.last_day,
    }
    is_role = actions.is_role(alias)
    form = AliasForm(request.POST or None, initial=initial, is_role=is_role)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            actions.update(alias, data["targets"], data["description"])
            actions.set_last_day(alias, data.get("last_day"))
        except Refused as refusal:
            form.add_error("targets", refusal)
        else:
            messages.success(request, "Saved. Mail from now on goes to these targets.")
            return redirect("aliases:show", address=str(alias))
    found, steps = explain(str(alias))
    context = {
        "alias": alias,
        "form": form,
        "is_role": is_role,
        "stand_ins": [] if saved else admins_of(alias.address.domain),
        "refusal": found if isinstance(found, Reply) else None,
        "steps": steps,
    }
    return render(request, "aliases/show.html", context)


@require_POST
@login_required
def switch(request: HttpRequest, address: str) -> HttpResponse:
    """Stop or start taking mail."""
    alias = alias_for_admin(request.user, address)
    on = request.POST.get("to") == "on"
    try:
        (actions.enable if on else actions.disable)(alias)
    except Refused as refusal:
        messages.error(request, f"{' '.join(refusal.messages)} Nothing was changed.")
    else:
        what = "takes mail again" if on else "takes no more mail; its targets are kept"
        messages.success(request, f"{alias} {what}.")
    return redirect("aliases:show", address=str(alias))


@login_required
def delete(request: HttpRequest, address: str) -> HttpResponse:
    """Ask, then give the address up."""
    alias = alias_for_admin(request.user, address)
    if request.method == "POST":
        try:
            actions.delete(alias)
        except Refused as refusal:
            messages.error(
                request, f"{' '.join(refusal.messages)} Nothing was changed."
            )
            return redirect("aliases:show", address=address)
        messages.success(request, f"{address} is deleted.")
        return redirect("aliases:index")
    return render(request, "aliases/delete.html", {"alias": alias})
