"""Whose password that is, and what comes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.utils import timezone

from smtpd import replies
from smtpd.listener.requests import Client
from smtpd.models import AppPassword
from smtpd.paths import Path
from smtpd.replies import Reply
from smtpd.routing import TAG
from smtpd.submission import brake, identities, passwords

# When and where a password was used is written down this often.
FRESH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who logged in, and all they may send as."""

    user_id: int
    # The e-mail address they sign in with: what the log calls them.
    name: str
    # Folded: their own address and those that lead to them...
    addresses: frozenset[str]
    # ...and the domains they run, with every address in them.
    domains: frozenset[str]
    # Whether one of these is an address of this site, so that mail may leave.
    may_relay: bool
    # What they logged in with.
    password_id: int | None = None

    def owns(self, path: Path) -> bool:
        """Whether mail from this mailbox is theirs; a tag is whoever has the rest."""
        if path.domain in self.domains:
            return True
        local_part = path.local_part
        names = [local_part]
        while TAG in names[-1]:
            names.append(names[-1].rpartition(TAG)[0])
        found = {str(Path(name, path.domain)).lower() for name in names if name}
        return not self.addresses.isdisjoint(found)


def authenticate(name: str, password: str, client: Client) -> Account | Reply:
    """Say who that is: 535 when it is nobody, 454 after too many of those.

    One indexed query finds all passwords of a name. A database that does not
    answer is the caller's 454.
    """
    if brake.is_braked(name, client.peer):
        return replies.AUTH_BRAKED
    # LOGIN may bring NUL, which PostgreSQL does not take.
    email = name.strip().lower().replace("\0", "")
    rows = AppPassword.objects.good().filter(user__email=email)
    digest = passwords.digest(password)
    good = [
        row
        for row in rows.select_related("user")
        if passwords.matches(row.hash, digest)
    ]
    if not good:
        brake.note_failure(name, client.peer)
        return replies.BAD_CREDENTIALS
    brake.note_success(name, client.peer)
    _note_use(good[0], client.peer)
    return replace(account_of(good[0].user), password_id=good[0].pk)


def is_welcome(account: Account) -> bool:
    """Whether what somebody logged in with still opens something.

    A mail program may stay connected for hours behind a password that was taken
    away, or a person who was made inactive.
    """
    used = account.password_id
    return used is None or AppPassword.objects.good().filter(pk=used).exists()


def account_of(user: AbstractBaseUser) -> Account:
    """What somebody may do when they have logged in."""
    addresses = identities.addresses_of(user)
    domains = identities.domains_of(user)
    may_relay = bool(domains) or identities.has_hosted(addresses)
    return Account(user.pk, user.get_username(), addresses, domains, may_relay)


def _note_use(password: AppPassword, peer: str) -> None:
    now, place = timezone.now(), peer or None
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - FRESH)
    AppPassword.objects.filter(stale, pk=password.pk).update(
        last_used_at=now, last_used_from=place
    )
