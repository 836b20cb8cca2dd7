"""The mail programs a person lets send in their name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from project import binds
from project.models import User
from smtpd.models import AppPassword
from smtpd.submission.accounts import account_of
from smtpd.submission.actions import TooMany, make_password, revoke

# The account page has another form with a name.
PREFIX = "program"


@dataclass(frozen=True, slots=True)
class Server:
    """What to fill in, in the words of mail programs."""

    port: int
    security: str


class ProgramForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = AppPassword
        fields = ("name",)
        labels = {"name": "Mail program"}
        help_texts = {
            "name": "For example “Thunderbird on the laptop”: what you would look"
            " for when that laptop is lost."
        }


def servers() -> Iterator[Server]:
    """The ports people send by, the better one first (RFC 8314 3.3)."""
    for bind, security in (
        (settings.SUBMISSIONS_BIND, "SSL/TLS"),
        (settings.SUBMISSION_BIND, "STARTTLS"),
    ):
        if bind:
            yield Server(binds.split(bind)[1], security)


def programs_of(user: User) -> dict[str, object]:
    """What the account page shows; nothing where nobody can send."""
    good = AppPassword.objects.good().filter(user=user)
    if not good.exists() and not list(servers()):
        return {}
    account = account_of(user)
    return {
        "programs": good,
        "program_form": ProgramForm(prefix=PREFIX),
        "servers": list(servers()),
        "senders": sorted(account.addresses),
        "sender_domains": sorted(account.domains),
        "may_relay": account.may_relay,
    }


@login_required
@never_cache
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Make a password and show it: this page is the only place it ever is."""
    assert isinstance(request.user, User)
    form = ProgramForm(request.POST, prefix=PREFIX)
    if not form.is_valid():
        messages.error(request, "Give the mail program a name first.")
        return redirect("account")
    try:
        program, secret = make_password(request.user, form.cleaned_data["name"])
    except TooMany as problem:
        messages.error(request, " ".join(problem.messages))
        return redirect("account")
    context = {
        "program": program,
        "secret": secret,
        "server": settings.SMTP_HOSTNAME,
        "servers": list(servers()),
    }
    return render(request, "project/program.html", context)


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a password away; somebody else's does not exist."""
    program = get_object_or_404(AppPassword, pk=pk, user=request.user)
    revoke(program)
    messages.success(
        request, f"“{program.name}” can no longer send. Your other programs still can."
    )
    return redirect("account")
