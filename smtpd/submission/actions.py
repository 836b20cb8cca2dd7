"""What people do with their app passwords."""

from __future__ import annotations

import logging

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from smtpd.models import AppPassword
from smtpd.submission import passwords

log = logging.getLogger(__name__)

# Each is compared when its owner logs in.
MOST = 20


class TooMany(ValidationError):
    """More mail programs than anybody has."""


@transaction.atomic
def make_password(user: AbstractBaseUser, name: str) -> tuple[AppPassword, str]:
    """Let a mail program in; the password itself is returned once, here.

    Raise TooMany when somebody has as many as there may be.
    """
    if AppPassword.objects.good().filter(user=user.pk).count() >= MOST:
        raise TooMany(f"You have {MOST} passwords. Take one away that is not used.")
    secret = passwords.make()
    row = AppPassword.objects.create(
        user_id=user.pk, name=name, hash=passwords.digest(secret)
    )
    log.info("app-password=%s made user=%s", row.pk, user.pk)
    return row, secret


def revoke(password: AppPassword) -> bool:
    """Let it open nothing any more; False when it was so already.

    A session that is logged in ends with its connection.
    """
    mine = AppPassword.objects.filter(pk=password.pk, revoked_at=None)
    changed = bool(mine.update(revoked_at=timezone.now()))
    if changed:
        log.info("app-password=%s revoked user=%s", password.pk, password.user_id)
    return changed
