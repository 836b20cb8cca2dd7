"""The moderation queue: read, decide, go on to the next."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from lists import access
from lists.access import Role
from lists.models import MailingList, Post
from lists.moderation import actions, reading
from lists.moderation.forms import BulkForm, DecisionForm
from smtpd import letter

SHOWN = 100
HEADERS = frozenset({"from", "to", "cc", "reply-to", "date", "subject", "message-id"})
DONE = {
    "approve": "Approved: it is on its way to the members.",
    "reject": "Rejected: the author gets a mail with your reason.",
    "discard": "Discarded: nobody is told.",
}


@login_required
@require_safe
def every(request: HttpRequest) -> HttpResponse:
    """All held posts of all lists somebody moderates."""
    mine = access.lists_with_role(request.user, Role.MODERATOR)
    held = Post.objects.held().filter(mailing_list__in=mine)
    posts = held.select_related("mailing_list__address__domain", "message").defer(
        "message__raw"
    )
    context = {
        "posts": posts[:SHOWN],
        "total": held.count(),
        "has_lists": mine.exists(),
    }
    return render(request, "lists/moderation/every.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def queue(request: HttpRequest, address: str) -> HttpResponse:
    """The held posts of one list; a POST decides about the picked ones."""
    mlist = access.list_for_moderator(request.user, address)
    if request.method == "POST":
        _decide_picked(request, mlist)
        return redirect("lists:moderation-queue", address)
    held = Post.objects.held().filter(mailing_list=mlist)
    decided = mlist.posts.exclude(decided_at=None).select_related("decided_by")
    context = {
        "mlist": mlist,
        "role": access.role_on(request.user, mlist),
        "posts": held.select_related("message").defer("message__raw")[:SHOWN],
        "total": held.count(),
        "decided": decided.order_by("-decided_at")[:10],
    }
    return render(request, "lists/moderation/queue.html", context)


def _decide_picked(request: HttpRequest, mlist: MailingList) -> None:
    everything = mlist.posts.values_list("pk", flat=True)
    form = BulkForm(request.POST, held=list(everything))
    if not form.is_valid():
        messages.error(request, "Select at least one message first.")
        return
    decision, reason = form.cleaned_data["decision"], form.cleaned_data["reason"]
    picked = mlist.posts.filter(pk__in=form.cleaned_data["posts"])
    done = sum(_decide(post, decision, reason, request) for post in picked)
    late = len(picked) - done
    if done:
        messages.success(request, f"{done} decided. {DONE[decision]}")
    if late:
        messages.warning(request, f"{late} had been decided by somebody else before.")


def _decide(post: Post, decision: str, reason: str, request: HttpRequest) -> bool:
    # Only a moderator comes here, and a moderator is signed in.
    by = request.user if request.user.is_authenticated else None
    if decision == "reject":
        return actions.reject(post, by=by, reason=reason)
    verb = actions.approve if decision == "approve" else actions.discard
    return verb(post, by=by)


@require_http_methods(["GET", "HEAD", "POST"])
def post(request: HttpRequest, address: str, pk: int) -> HttpResponse:
    """One held post; deciding about it opens the next."""
    mlist = access.list_for_moderator(request.user, address)
    held_post = get_object_or_404(
        mlist.posts.select_related("message", "decided_by"), pk=pk
    )
    form = DecisionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        decision = form.cleaned_data["decision"]
        if _decide(held_post, decision, form.cleaned_data["reason"], request):
            messages.success(request, DONE[decision])
        else:
            held_post.refresh_from_db()
            messages.warning(request, _too_late(held_post))
        return redirect(_next(mlist, held_post))
    shown = letter.read(bytes(held_post.message.raw))
    context = {
        "mlist": mlist,
        "role": access.role_on(request.user, mlist),
        "post": held_post,
        "letter": shown,
        "words": shown.text or reading.words(shown.html),
        "headers": [pair for pair in shown.headers if pair[0].lower() in HEADERS],
        "form": form,
        "left": Post.objects.held().filter(mailing_list=mlist).count(),
        "next_url": _next(mlist, held_post),
    }
    return render(request, "lists/moderation/post.html", context)


def _too_late(decided: Post) -> str:
    who = decided.decided_by or "somebody else"
    return f"Already {decided.get_state_display().lower()} by {who}. Nothing changed."


def _next(mlist: MailingList, decided: Post) -> str:
    """The next held post of the list, else its queue."""
    following = Post.objects.held().filter(mailing_list=mlist).exclude(pk=decided.pk)
    after = following.filter(created_at__gte=decided.created_at).first()
    coming = after or following.first()
    if coming is None:
        return reverse("lists:moderation-queue", args=[mlist.posting_address])
    return reverse("lists:moderation-post", args=[mlist.posting_address, coming.pk])
