"""What was posted to a list, and how far each post has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from lists import access
from lists.access import Role
from lists.models import Post
from lists.moderation import reading
from lists.posting import writing
from smtpd import letter, progress
from smtpd.models import Delivery, Outgoing
from smtpd.models.outgoing import TALLY
from smtpd.outbound.failures import WORDS, Failure

PAGE = 25
STATE = Delivery.State


@require_safe
def posts(request: HttpRequest, address: str) -> HttpResponse:
    """All posts for those who moderate, accepted ones for readers of an archive."""
    mlist, role = access.posts_for_reader(request.user, address)
    rows = mlist.posts.select_related("message").defer("message__raw", "message__trace")
    if role < Role.MODERATOR:
        rows = rows.filter(state=Post.State.ACCEPTED)
    state = request.GET.get("state", "")
    if state in Post.State.values:
        rows = rows.filter(state=state)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "mlist": mlist,
        "role": role,
        "may_read": True,
        "page": page,
        "progress": _progress([post.outgoing_id for post in page]),
        "state": state,
        "states": Post.State.choices,
    }
    return render(request, "lists/posting/posts.html", context)


@require_safe
def post(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    """One accepted post: where Archived-At leads (RFC 5064)."""
    mlist, role = access.posts_for_reader(request.user, address)
    rows = mlist.posts.filter(state=Post.State.ACCEPTED).select_related("message")
    found = get_object_or_404(rows, pk=pk)
    shown = letter.read(bytes(found.message.raw))
    context = {
        "mlist": mlist,
        "role": role,
        "may_read": True,
        "post": found,
        "letter": shown,
        "words": shown.text or reading.words(shown.html),
        "may_write": writing.may_write(mlist, request.user),
    }
    if role >= Role.MODERATOR:
        context |= {
            "progress": progress.read(found.message),
            "refusals": _refusals(found),
        }
    is_part = role >= Role.MODERATOR and request.headers.get("HX-Target") == "progress"
    template = "lists/posting/_progress.html" if is_part else "lists/posting/post.html"
    return render(request, template, context)


def _refusals(found: Post) -> list[tuple[str, str, int]]:
    """Why copies wait or failed: state, words and how many, the most first."""
    refused = Delivery.objects.filter(
        outgoing=found.outgoing_id, state__in=(STATE.QUEUED, STATE.FAILED)
    ).exclude(failure="")
    counts = refused.order_by().values_list("state", "failure").annotate(n=Count("id"))
    return [
        (STATE(state).label, WORDS[Failure(failure)], count)
        for state, failure, count in counts.order_by("-n", "failure")
    ]


def _progress(outgoings: list[int | None]) -> dict[int, Counter[str]]:
    """How many copies of each are sent, waiting and failed; kept rows or not."""
    rows = (
        Delivery.objects.filter(outgoing__in=[pk for pk in outgoings if pk])
        .order_by()
        .values("outgoing")
        .annotate(
            sent=Count("pk", filter=Q(state=STATE.SENT)),
            failed=Count("pk", filter=Q(state__in=(STATE.FAILED, STATE.CANCELLED))),
            waiting=Count("pk", filter=Q(state__in=(STATE.QUEUED, STATE.HELD))),
            total=Count("pk"),
        )
    )
    progress = {row["outgoing"]: Counter[str](_counts(row)) for row in rows}
    known = Outgoing.objects.filter(pk__in=[pk for pk in outgoings if pk])
    for outgoing in known.only(*TALLY):
        if outgoing.pruned:
            failed = outgoing.pruned_failed + outgoing.pruned_cancelled
            counts = {"sent": outgoing.pruned_sent, "failed": failed}
            total = outgoing.pruned_sent + failed
            found = progress.setdefault(outgoing.pk, Counter())
            found.update(counts, total=total)
    return progress


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name, count in row.items() if name != "outgoing"}
