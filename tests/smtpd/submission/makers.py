"""People with an account here, and what their mail programs say."""

from __future__ import annotations

from collections.abc import Mapping

from project.hosting import host_domain
from project.models import User
from smtpd import paths
from smtpd.listener.requests import Client, Recipient, Transaction
from smtpd.models import Domain
from smtpd.paths import Path
from smtpd.replies import Reply
from smtpd.submission import accounts
from smtpd.submission.accounts import Account
from smtpd.submission.actions import make_password
from smtpd.submission.policy import Submission

SAM = "sam@home.test"
OLGA = "olga@home.test"
FAR = ["nick@far.test", "kim@away.test"]
MAIL = (
    b"From: Sam <sam@lists.test>\r\nTo: nick@far.test\r\nSubject: tea\r\n"
    b"Date: Mon, 1 Jun 2026 10:00:00 +0000\r\nMessage-ID: <1@lists.test>\r\n"
    b"\r\nHello\r\n"
)


def make_domain(*, admin: str = "", dkim: str = "") -> Domain:
    domain = host_domain("lists.test", dkim=dkim)
    if admin:
        domain.admins.add(make_user(admin))
    return domain


def make_user(email: str = SAM) -> User:
    found = User.objects.filter(email=email).first()
    return found or User.objects.create_user(email)


def password_of(email: str = SAM) -> str:
    _, secret = make_password(make_user(email), "Laptop")
    return secret


def log_in(name: str, password: str, peer: str = "192.0.2.7") -> Account | Reply:
    return accounts.authenticate(name, password, Client(peer=peer))


def client_of(email: str = SAM) -> Client:
    account = accounts.account_of(make_user(email))
    return Client("192.0.2.7", "laptop.home", True, True, account)


def send(
    *recipients: str,
    email: str = SAM,
    sender: str = "sam@lists.test",
    raw: bytes = MAIL,
    notify: Mapping[str, str] | None = None,
) -> Reply:
    """MAIL, RCPT for each, DATA: the first reply that is no yes, or the last."""
    policy, client = Submission(), client_of(email)
    path = paths.mailbox(sender) if sender else paths.NULL
    reply = policy.check_sender(path, client)
    if not reply.is_positive:
        return reply
    transaction = Transaction(path, client, "ESMTPSA")
    for recipient in recipients:
        reply, route = policy.decide(to(recipient), client)
        if not reply.is_positive:
            return reply
        wish = (notify or {}).get(recipient, "")
        transaction.recipients.append(Recipient(to(recipient), route, wish))
    return policy.take(transaction, raw)[0]


def to(mailbox: str) -> Path:
    path, _ = paths.forward_path(f"<{mailbox}>".encode(), utf8=True)
    return path
