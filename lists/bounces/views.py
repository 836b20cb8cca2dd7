"""Waves: what failed together, for those who decide whether it counts."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from lists import access
from lists.bounces import counting
from lists.models import Wave
from smtpd.outbound.failures import WORDS, Failure

PAGE = 50
PAST = 20


@require_safe
@login_required
def waves(request: HttpRequest) -> HttpResponse:
    """Those that wait for a decision, and the last ones that do not."""
    mine = access.waves_of(request.user)
    context = {
        "open": mine.open(),
        "past": mine.exclude(decision=Wave.Decision.OPEN)[:PAST],
    }
    return render(request, "lists/bounces/waves.html", context)


@require_safe
@login_required
def wave(request: HttpRequest, pk: int) -> HttpResponse:
    """One of them, with everybody in it."""
    found = get_object_or_404(access.waves_of(request.user), pk=pk)
    bounces = found.bounces.select_related(
        "subscription__subscriber", "subscription__mailing_list__address__domain"
    )
    counts = bounces.order_by().values_list("failure").annotate(n=Count("id"))
    context = {
        "wave": found,
        "page": Paginator(bounces, PAGE).get_page(request.GET.get("page")),
        "reasons": [
            (WORDS[Failure(name)], count)
            for name, count in counts.order_by("-n")
            if name
        ],
    }
    return render(request, "lists/bounces/wave.html", context)


@require_POST
@login_required
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Forgive it, or count it after all."""
    found = get_object_or_404(access.waves_of(request.user), pk=pk)
    counts = request.POST.get("do") == "count"
    verb = counting.confirm if counts else counting.forgive
    if not verb(found, by=request.user):
        messages.info(request, "Somebody has decided already; nothing was changed.")
    elif counts:
        messages.success(request, "They are counted within a minute.")
    else:
        messages.success(request, "Forgiven: nobody is counted for it.")
    return redirect("lists:waves-wave", pk)
