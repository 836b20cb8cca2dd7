"""Print a link that signs a person in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.accounts import ensure_user
from project.models import User
from project.signin import make_url


class Command(BaseCommand):
    help = "Print a link that signs this person in, once, within a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="a user's or a subscriber's address")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        ensure_user(email)
        user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
        if user is None:
            raise CommandError(f"nobody here has the address {email}")
        self.stdout.write(make_url(user))
