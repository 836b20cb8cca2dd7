"""The Content-Security-Policy of each page.

The site loads nothing but its own files and runs no inline script or style. The
admin's theme needs both, so it gets a policy of its own. A view that set the
header itself keeps it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
_COMMON = "object-src 'none'; base-uri 'none'; form-action 'self'"
SITE = f"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; {_COMMON}"
ADMIN = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none';"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    f" style-src 'self' 'unsafe-inline'; {_COMMON}"
)


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Django's hook: wrap the next layer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = ADMIN if request.path.startswith("/admin/") else SITE
        response.headers.setdefault(HEADER, policy)
        return response

    return middleware
