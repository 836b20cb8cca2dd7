"""An alias becomes a list, a list an alias: asked first, then done."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from aliases.access import alias_for_admin
from lists.access import list_for_owner
from project.conversion import NotConverted, WouldLose, alias_to_list, list_to_alias
from project.pages.forms import ToListForm
from smtpd.access import domains_of
from smtpd.models import Address


@login_required
def convert(request: HttpRequest, address: str) -> HttpResponse:
    """What it is not yet."""
    is_list = Address.objects.named(address).filter(kind=Address.Kind.LIST).exists()
    return (to_alias if is_list else to_list)(request, address)


def to_list(request: HttpRequest, address: str) -> HttpResponse:
    """The alias's targets become subscribers, whoever asks becomes the owner."""
    alias = alias_for_admin(request.user, address)
    initial = {"name": alias.description[:100] or alias.address.local_part.capitalize()}
    form = ToListForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        owner = str(getattr(request.user, "email", ""))
        try:
            mlist = alias_to_list(alias, form.cleaned_data["name"], owner=owner)
        except NotConverted as refusal:
            form.add_error(None, refusal)
        else:
            messages.success(
                request, f"{address} is a list now, and you are its owner."
            )
            return redirect("lists:settings", address=mlist.posting_address)
    return render(request, "project/to_list.html", {"alias": alias, "form": form})


def to_alias(request: HttpRequest, address: str) -> HttpResponse:
    """Those who get the list's mail become targets; losses are said before."""
    mlist = list_for_owner(request.user, address)
    problem, loss = "", ""
    if request.method == "POST":
        try:
            list_to_alias(mlist, confirmed="sure" in request.POST)
        except WouldLose as would:
            loss = " ".join(would.messages)
        except NotConverted as refusal:
            problem = " ".join(refusal.messages)
        else:
            messages.success(request, f"{address} is an alias now.")
            return redirect(_after(request, address))
    context = {
        "mlist": mlist,
        "receiving": mlist.subscriptions.receiving().count(),
        "problem": problem,
        "loss": loss,
    }
    return render(request, "project/to_alias.html", context)


def _after(request: HttpRequest, address: str) -> str:
    """An owner who does not run the domain cannot see aliases."""
    return f"/aliases/{address}/" if _runs_domain(request, address) else "/"


def _runs_domain(request: HttpRequest, address: str) -> bool:
    domain = address.rpartition("@")[2]
    return domains_of(request.user).filter(name=domain).exists()
