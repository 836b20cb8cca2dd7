"""The copies RELAY=mailbox kept, as their recipients would see them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from smtpd.access import copies_of
from smtpd.letter import read
from smtpd.models import Copy
from smtpd.outbound.relay import MAILBOX

PER_PAGE = 50
# Nothing is loaded, nothing runs, no link opens inside the frame.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
)


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """The newest first; each word searched for must occur somewhere."""
    query = request.GET.get("q", "").strip()[:200]
    found = copies_of(request.user)
    for word in query.split()[:8]:
        found = found.filter(
            Q(forward_path__icontains=word)
            | Q(subject__icontains=word)
            | Q(author__icontains=word)
        )
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    is_kept = settings.RELAY == MAILBOX
    context = {
        "page": page,
        "query": query,
        "is_kept": is_kept,
        "relay": settings.RELAY,
    }
    return render(request, "smtpd/mailbox/index.html", context)


@require_safe
@login_required
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One copy: text, HTML in a shut frame, attachments, header."""
    copy = _copy(request, pk)
    letter = read(bytes(copy.raw))
    own = [uri for uri in letter.unsubscribe if uri.startswith(f"{settings.BASE_URL}/")]
    context = {"copy": copy, "letter": letter, "one_click": own[:1]}
    return render(request, "smtpd/mailbox/show.html", context)


@require_safe
@login_required
def html(request: HttpRequest, pk: int) -> HttpResponse:
    """The HTML part, sanitised, for the sandboxed frame alone."""
    letter = read(bytes(_copy(request, pk).raw))
    page = render(request, "smtpd/mailbox/html.html", {"html": letter.html})
    page["Content-Security-Policy"] = FRAME_POLICY
    page["X-Frame-Options"] = "SAMEORIGIN"
    page["X-Content-Type-Options"] = "nosniff"
    return page


@require_safe
@login_required
def raw(request: HttpRequest, pk: int) -> HttpResponse:
    """The copy byte for byte, as plain text."""
    page = HttpResponse(bytes(_copy(request, pk).raw), content_type="text/plain")
    page["Content-Security-Policy"] = "default-src 'none'; sandbox"
    page["X-Content-Type-Options"] = "nosniff"
    return page


def _copy(request: HttpRequest, pk: int) -> Copy:
    return get_object_or_404(copies_of(request.user).defer(None), pk=pk)
