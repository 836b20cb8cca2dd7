"""What the submission ports decide (RFC 6409): our addresses, and everybody else's.

Decisions where the standard leaves room:
- The null reverse-path is taken: receipts have it (RFC 8098 3). From is
  looked at all the same.
- Every author in From, and Sender, has to be an identity of the account; a
  message is not sent on in somebody else's name (Resent-*).
- Only who has an address of this site writes to other sites: everybody who is
  on a list here can have a password, and that shall not open the world.
- The Received field does not tell where a person sits (see intake).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from email.utils import format_datetime
from typing import cast

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from smtpd import facts as facts_of
from smtpd import fields, intake, lookup, paths, replies
from smtpd.dsn import Wish
from smtpd.envelope import Envelope
from smtpd.facts import Facts
from smtpd.fields import TooMany
from smtpd.listener.policies import Site, envelope_of
from smtpd.listener.requests import Client, Transaction
from smtpd.paths import BadPath, Path
from smtpd.replies import Reply
from smtpd.routing import Route
from smtpd.submission import accounts, brake, relay
from smtpd.submission.accounts import Account
from smtpd.submission.repair import Supplies, Unrepairable, repair


class Submission(Site):
    """Answers people who have logged in."""

    def authenticate(self, name: str, password: str, client: Client) -> Account | Reply:
        """Look for an app password."""
        return accounts.authenticate(name, password, client)

    def check_sender(self, path: Path, client: Client) -> Reply:
        """Say whether the account may send as this."""
        account = _account(client)
        if path.is_null or account.owns(path):
            return replies.SENDER_OK
        return replies.NOT_YOUR_SENDER.fill(name=account.name, mailbox=str(path))

    def decide(self, path: Path, client: Client) -> tuple[Reply, object]:
        """Ask the doors; what is not for us is passed on."""
        account = _account(client)
        if refused := _refused(account):
            return refused, None
        reply, route = super().decide(path, client)
        if reply != replies.RELAY_DENIED or not _is_name(path.domain):
            return reply, route
        if not account.may_relay:
            return replies.CANNOT_LEAVE, None
        return replies.RCPT_OK, _relayed([str(path)])

    def verify(self, text: str, client: Client) -> Reply:
        """Say who is meant, to those who may know."""
        return lookup.verify(text, _person(client))

    def expand(self, text: str, client: Client) -> Reply:
        """Say who is on a list, to those who may know."""
        return lookup.expand(text, _person(client))

    def may_expand(self, client: Client) -> bool:
        """Whether there is anything they may expand."""
        return lookup.may_expand(_person(client))

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        """Repair it, see whose it is, then judge and store it like any other."""
        account = _account(envelope.client)
        count = len(envelope.recipients)
        if refused := _refused(account, count):
            return [refused]
        try:
            whole = repair(raw, _supplies(account, envelope.reverse_path))
            facts = facts_of.read(whole, reverse_path=str(envelope.reverse_path))
        except TooMany:
            return [replies.TOO_MANY_FIELDS]
        except Unrepairable as problem:
            return [problem.reply]
        if not _is_author(account, facts):
            return [replies.NOT_YOUR_AUTHOR.fill(name=account.name)]
        reply = intake.accept(_envelope(account, envelope), whole)
        if reply.is_positive:
            brake.spend(account.user_id, count)
        return [reply]


def _account(client: Client) -> Account:
    """Who logged in: the session asks for nothing before they have."""
    return cast("Account", client.account)


def _refused(account: Account, recipients: int = 1) -> Reply | None:
    """What speaks against whatever they send."""
    if not accounts.is_welcome(account):
        return replies.LOGGED_OUT.fill(name=account.name)
    if not brake.may_spend(account.user_id, recipients):
        return replies.DAY_LIMIT.fill(name=account.name)
    return None


def _person(client: Client) -> AbstractBaseUser | None:
    """The user behind the account; VRFY may come before anybody logs in."""
    if client.account is None:
        return None
    people = get_user_model().objects.filter(is_active=True)
    return people.filter(pk=_account(client).user_id).first()


def _is_name(domain: str) -> bool:
    """Mail leaves for names that can be looked up: no literal, no bare host."""
    return "." in domain and not domain.startswith("[")


def _relayed(recipients: Sequence[str], number: int = 0) -> Route:
    first = recipients[0]
    return Route(relay.DOOR, relay.RELAY, number, first, recipients=tuple(recipients))


def _envelope(account: Account, transaction: Transaction) -> Envelope:
    """Recipients outside share a route, and so a message, if of all of them the
    sender wants to hear the same (RFC 3461).
    """
    found = envelope_of(transaction)
    outside: dict[Wish, list[str]] = {}
    for route, wish in zip(found.routes, found.wishes, strict=True):
        if route.door == relay.DOOR:
            outside.setdefault(wish, []).append(route.recipients[0])
    shared = {
        wish: _relayed(recipients, number)
        for number, (wish, recipients) in enumerate(outside.items())
    }
    found.routes = [
        shared[wish] if route.door == relay.DOOR else route
        for route, wish in zip(found.routes, found.wishes, strict=True)
    ]
    return replace(found, submitter=account.user_id)


def _supplies(account: Account, reverse_path: Path) -> Supplies:
    sender = account.name if reverse_path.is_null else str(reverse_path)
    domain = sender.rpartition("@")[2]
    return Supplies(
        domain=domain,
        sender=sender,
        msg_id=f"<{secrets.token_hex(16)}@{domain}>",
        date=format_datetime(timezone.localtime()),
    )


def _is_author(account: Account, facts: Facts) -> bool:
    """Whether all that From and Sender name is theirs."""
    named = [*facts.authors]
    for value in facts.all("sender"):
        named += [address for _, address in fields.mailboxes(value)]
    return bool(named) and all(_owns(account, address) for address in named)


def _owns(account: Account, address: str) -> bool:
    try:
        return account.owns(paths.mailbox(address))
    except BadPath:
        return False
