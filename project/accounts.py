"""Who may sign in: whoever the site knows, by a code sent to their address.

There is no password and no sign-up. A person on a list has no user until they
first ask for a code.
"""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import RequestLoginCodeForm
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from lists.models import Subscriber
from lists.subscriptions.actions import link_user
from project.models import User


def ensure_user(email: str) -> None:
    """Give a subscriber's address a user, if it has none. Strangers get none."""
    folded = email.strip().lower()
    if User.objects.filter(email=folded).exists():
        return
    subscriber = Subscriber.objects.filter(folded=folded).first()
    if subscriber is None:
        return
    try:
        with transaction.atomic():
            User.objects.create_user(folded, name=subscriber.name)
    except IntegrityError:
        # Somebody asked twice at once: the other one made it.
        return


class AskForCodeForm(RequestLoginCodeForm):  # type: ignore[misc] # untyped
    """The sign-in page. It says the same to every address."""

    def clean_email(self) -> str:
        ensure_user(self.cleaned_data["email"])
        email: str = super().clean_email()
        return email


class Adapter(DefaultAccountAdapter):  # type: ignore[misc] # untyped
    """allauth, told about our house."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in, and make the subscriptions of the proven address theirs."""
        super().login(request, user)
        link_user(user)
