"""The keys that sign a domain's mail: a new one made, published, put to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from project.pages.forms import KeyForm
from smtpd.access import domain_for_admin
from smtpd.domains import actions
from smtpd.domains.actions import Refused, State
from smtpd.domains.age import is_old
from smtpd.domains.keys import ACTIVE, keys_of
from smtpd.models import Domain


@never_cache
@require_safe
@login_required
def show(request: HttpRequest, name: str) -> HttpResponse:
    """The key in use, the next one, the former ones; what to do about each."""
    domain = domain_for_admin(request.user, name)
    return _page(request, domain, KeyForm())


@require_POST
@login_required
def make(request: HttpRequest, name: str) -> HttpResponse:
    """Make the next key."""
    domain = domain_for_admin(request.user, name)
    form = KeyForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            key = actions.make_next_key(domain, data["dkim"], data["selector"])
        except Refused as refusal:
            form.add_error("selector", refusal)
        else:
            messages.success(
                request, f"{key.selector} is made. Now publish its record, below."
            )
            return redirect("smtpd:domain-keys", name=domain.name)
    return _page(request, domain, form)


@require_POST
@login_required
def switch(request: HttpRequest, name: str) -> HttpResponse:
    """Put the next key to use, if DNS has it or somebody insists."""
    domain = domain_for_admin(request.user, name)
    force = "force" in request.POST
    return _do(
        request,
        domain,
        lambda: actions.switch_key(domain, force=force),
        "Mail is signed with the new key now. Leave the old record where it is.",
    )


@require_POST
@login_required
def drop(request: HttpRequest, name: str) -> HttpResponse:
    """Forget the next key."""
    domain = domain_for_admin(request.user, name)
    return _do(
        request,
        domain,
        lambda: actions.drop_next_key(domain),
        "The next key is gone. If you published its record, delete that too.",
    )


@require_POST
@login_required
def revoke(request: HttpRequest, name: str, selector: str) -> HttpResponse:
    """Say that a former key is in wrong hands."""
    domain = domain_for_admin(request.user, name)
    return _do(
        request,
        domain,
        lambda: actions.revoke_key(domain, selector),
        f"Replace the record of {selector} by the empty one below, at once.",
    )


@require_POST
@login_required
def forget(request: HttpRequest, name: str, selector: str) -> HttpResponse:
    """Note that a former key's record is deleted."""
    domain = domain_for_admin(request.user, name)
    return _do(
        request,
        domain,
        lambda: actions.forget_key(domain, selector),
        f"{selector} is done with.",
    )


def _do(
    request: HttpRequest, domain: Domain, verb: Callable[[], object], done: str
) -> HttpResponse:
    """Do it, or say why not; back to the page either way."""
    try:
        verb()
    except Refused as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, done)
    return redirect("smtpd:domain-keys", name=domain.name)


def _page(request: HttpRequest, domain: Domain, form: KeyForm) -> HttpResponse:
    keys = keys_of(domain, ask="ask" in request.GET)
    context: dict[str, Any] = {
        "domain": domain,
        "active": next((key for key in keys if key.state == ACTIVE), None),
        "next": next((key for key in keys if key.state == State.NEXT), None),
        "former": [key for key in keys if key.state in (State.FORMER, State.REVOKED)],
        "is_old": is_old(domain.dkim_made_at, timezone.now()),
        "form": form,
    }
    return render(request, "project/domains/keys.html", context)
