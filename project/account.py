"""The page of the person who is signed in."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from lists.access import subscriptions_of
from project.models import User
from project.pages.programs import programs_of


class NameForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": "Your name"}
        help_texts = {
            "name": "It stands beside what you decide, for owners and moderators of"
            " your lists, and above what you write to a list on its page. Mail you"
            " send carries the name your mail program writes."
        }


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who one is here, and the way out."""
    assert isinstance(request.user, User)
    form = NameForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("account")
    addresses = subscriptions_of(request.user).values_list(
        "subscriber__address", flat=True
    )
    context = {"form": form, "addresses": sorted(set(addresses))}
    context |= programs_of(request.user)
    return render(request, "project/account.html", context)
