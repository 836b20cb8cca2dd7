"""Who signs in to look at pages: Django's client, one for each person."""

from __future__ import annotations

from django.test import Client

from project.models import User
from smtpd.models import Domain


def signed_in(email: str, *, admin: bool = False, runs: Domain | None = None) -> Client:
    """A browser of this person: a site admin, one domain's admin, or nobody much."""
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    user.is_superuser = user.is_staff = admin
    user.save()
    if runs is not None:
        runs.admins.add(user)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
