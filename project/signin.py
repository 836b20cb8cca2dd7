"""A link that signs a person in, once, within a day.

It carries the person's last sign-in, so it is void after the next one. Opening
it changes nothing (mail programs open links too): the button does.
"""

from __future__ import annotations

from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from project.models import User

_SALT = "project.signin"
_LIFE = timedelta(days=1)


def make_token(user: User) -> str:
    """Return what stands in the link."""
    at = user.last_login.isoformat() if user.last_login else ""
    return signing.dumps([user.pk, at], salt=_SALT)


def make_url(user: User) -> str:
    """Return the whole link, for a person to open."""
    return f"{settings.BASE_URL}/signin/{make_token(user)}"


def read_token(token: str) -> User | None:
    """Return whose it is; None when forged, too old or used."""
    try:
        pk, at = signing.loads(token, salt=_SALT, max_age=_LIFE)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    if user is None:
        return None
    now_at = user.last_login.isoformat() if user.last_login else ""
    return user if now_at == at else None


def use(user: User) -> bool:
    """Void all links of this person. False when another was faster."""
    unused = User.objects.filter(pk=user.pk, last_login=user.last_login)
    return unused.update(last_login=timezone.now()) == 1


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button; sign in when it is pressed."""
    user = read_token(token)
    if user is None or (request.method == "POST" and not use(user)):
        return render(request, "project/signin.html", {"person": None}, status=410)
    if request.method != "POST":
        return render(request, "project/signin.html", {"person": user})
    get_adapter().login(request, user)
    return redirect(settings.LOGIN_REDIRECT_URL)
