"""The pages of addresses that have moved."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from aliases import actions as aliases
from aliases.access import alias_for_admin
from aliases.models import Alias
from aliases.moving import actions
from aliases.moving.actions import Refused
from aliases.moving.forms import MovedForm, NewMovedForm
from smtpd.access import domains_of, operators_only
from smtpd.models import Address
from smtpd.replies import Reply
from smtpd.routing import explain


@operators_only
def create(request: HttpRequest) -> HttpResponse:
    """An address that was never here, or has no alias, and whose person is gone."""
    wanted = domains_of(request.user).filter(name=request.GET.get("at", "")).first()
    form = NewMovedForm(
        request.POST or None, user=request.user, initial={"domain": wanted}
    )
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            alias = actions.create_moved(
                form.address, data["moved_to"], data["correction"], data["description"]
            )
            aliases.set_last_day(alias, data["last_day"])
        except Refused as refusal:
            form.add_error("moved_to", refusal)
        else:
            messages.success(request, f"{alias} is known to have moved.")
            return redirect("aliases:show", address=str(alias))
    return render(request, "aliases/moving/create.html", {"form": form})


def show(request: HttpRequest, alias: Alias) -> HttpResponse:
    """Where the person is, to edit, and what senders hear now."""
    form = _form(request, alias)
    if _save(request, alias, form):
        return redirect("aliases:show", address=str(alias))
    found, steps = explain(str(alias))
    context = {
        "alias": alias,
        "form": form,
        "former": [target.mailbox for target in alias.targets.all()],
        "reply": found if isinstance(found, Reply) else found.reply,
        "steps": steps,
    }
    return render(request, "aliases/moving/show.html", context)


@login_required
def move(request: HttpRequest, address: str) -> HttpResponse:
    """Ask where to, then let an alias move."""
    alias = alias_for_admin(request.user, address)
    if alias.address.kind == Address.Kind.MOVED:
        return redirect("aliases:show", address=str(alias))
    form = _form(request, alias)
    if _save(request, alias, form):
        return redirect("aliases:show", address=str(alias))
    context = {"alias": alias, "form": form}
    return render(request, "aliases/moving/move.html", context)


@require_POST
@login_required
def move_back(request: HttpRequest, address: str) -> HttpResponse:
    """Make it an alias again."""
    alias = alias_for_admin(request.user, address)
    try:
        if alias.address.kind == Address.Kind.MOVED:
            actions.move_back(alias)
    except Refused as refusal:
        messages.error(request, f"{' '.join(refusal.messages)} Nothing was changed.")
    else:
        messages.success(request, f"{alias} is an alias again. See who gets its mail.")
    return redirect("aliases:show", address=str(alias))


def _form(request: HttpRequest, alias: Alias) -> MovedForm:
    initial: dict[str, Any] = {
        "moved_to": alias.address.moved_to,
        "description": alias.description,
        "last_day": alias.address.last_day,
    }
    return MovedForm(request.POST or None, address=alias.address, initial=initial)


def _save(request: HttpRequest, alias: Alias, form: MovedForm) -> bool:
    """Whether what was typed is saved; a refusal stands in the form."""
    if request.method != "POST" or not form.is_valid():
        return False
    data = form.cleaned_data
    try:
        actions.move(alias, data["moved_to"], data["correction"], data["description"])
        aliases.set_last_day(alias, data["last_day"])
    except Refused as refusal:
        form.add_error("moved_to", refusal)
        return False
    messages.success(request, "Saved. Senders hear it from now on.")
    return True
