"""What became of a message, and who may read it.

Whoever runs a domain reads the messages to its addresses; who moderates a list
reads its posts; everybody else reads what became of their own copies.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from lists.access import Role, lists_with_role, subscriptions_of
from lists.models import Post
from project.models import User
from smtpd import progress
from smtpd.access import deliveries_of, messages_of, runs_site
from smtpd.models import Delivery, Message, Outgoing
from smtpd.models.outgoing import TALLY
from smtpd.traces import Trace, find, read_trace

Person = User | AnonymousUser
PER_PAGE = 30
# The order in which the states of a post are told and drawn.
STATES = tuple(Delivery.State)


def readable(user: Person) -> QuerySet[Message]:
    """The messages whose whole story somebody may read."""
    messages = Message.objects.light()
    if runs_site(user):
        return messages
    moderated = Post.objects.filter(
        mailing_list__in=lists_with_role(user, Role.MODERATOR)
    )
    return messages.filter(
        Q(pk__in=messages_of(user).values("pk")) | Q(pk__in=moderated.values("message"))
    )


def own_deliveries(user: Person, message: Message) -> QuerySet[Delivery]:
    """Somebody's own copies of a message: to their address, or a subscription."""
    own = Q(address__iexact=str(getattr(user, "email", "")))
    subscribed = Q(outgoing__post__isnull=False, ref__in=subscriptions_of(user))
    return Delivery.objects.filter(own | subscribed, outgoing__message=message)


def trace_for_reader(user: Person, key: str) -> tuple[Trace, bool]:
    """The trace of a message and whether it is the whole one, or 404."""
    message = Message.objects.light().filter(key=key.lower()).first()
    if message is None:
        raise Http404("no such message")
    if readable(user).filter(pk=message.pk).exists():
        return read_trace(message), True
    own = own_deliveries(user, message).values("pk")
    states = Delivery.objects.filter(pk__in=own).by_state()
    if not states:
        raise Http404("no such message")
    trace = read_trace(message)
    mine = trace.deliveries.filter(pk__in=own)
    return replace(trace, timeline=[], states=states, deliveries=mine), False


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Messages by key, Message-ID, subject or sender; the newest without a word."""
    query = request.GET.get("q", "").strip()[:300]
    messages = readable(request.user)
    named = messages.filter(pk__in=[m.pk for m in find(query)]) if query else None
    if named is not None and len(named) == 1:
        return redirect("smtpd:trace", key=named[0].key)
    if query and not named:
        messages = messages.filter(
            Q(subject__icontains=query)
            | Q(author__icontains=query)
            | Q(reverse_path__icontains=query)
        )
    page = Paginator(named or messages, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "query": query, "rows": _with_states(list(page))}
    return render(request, "project/messages.html", context)


@require_safe
@login_required
def show(request: HttpRequest, key: str) -> HttpResponse:
    """The whole story; with htmx only the part that still changes."""
    trace, is_whole = trace_for_reader(request.user, key)
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    page = trace.page(request.GET.get("page", 1), state=state)
    context: dict[str, Any] = {
        "trace": trace,
        "message": trace.message,
        "page": page,
        "state": state,
        "states": [(s, trace.states[s]) for s in STATES if s in trace.states],
        "total": sum(trace.states.values()),
        "is_whole": is_whole,
        "progress": progress.read(trace.message) if is_whole else None,
        "may_act": is_whole and _may_act(request.user, trace.message),
        "posts": _posts(request.user, trace.message) if is_whole else [],
    }
    is_part = request.headers.get("HX-Target") == "story"
    template = "project/_story.html" if is_part else "project/trace.html"
    return render(request, template, context)


def _may_act(user: Person, message: Message) -> bool:
    return deliveries_of(user).filter(outgoing__message=message).exists()


def _posts(user: Person, message: Message) -> QuerySet[Post]:
    """What lists of theirs made of it."""
    lists = lists_with_role(user, Role.MODERATOR)
    return message.posts.filter(mailing_list__in=lists).select_related(
        "mailing_list__address__domain"
    )


def _with_states(messages: list[Message]) -> list[tuple[Message, dict[str, int]]]:
    """Each message and its deliveries by state, in two statements for all."""
    counts: dict[int, Counter[str]] = {message.pk: Counter() for message in messages}
    rows = (
        Delivery.objects.filter(outgoing__message__in=messages)
        .order_by()
        .values_list("outgoing__message", "state")
        .annotate(n=Count("id"))
    )
    for pk, state, count in rows:
        counts[pk][state] = count
    outgoings = Outgoing.objects.filter(message__in=messages)
    for outgoing in outgoings.only("message", *TALLY):
        counts[outgoing.message_id].update(outgoing.pruned)
    return [
        (message, {s: counts[message.pk][s] for s in STATES if s in counts[message.pk]})
        for message in messages
    ]
