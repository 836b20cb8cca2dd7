"""The site of the dialogues.

    team@l.test         an alias of sam and olga, who live at people.test
    sam@l.test, sample@l.test  aliases of sam alone
    postmaster@l.test   an alias of olga
    closed@l.test       an alias that is switched off
    expired@l.test      an alias whose last day has gone
    talk@l.test         a list; olga owns it, sam is subscribed, others are held
    club@l.test         a list that refuses whoever is not subscribed
    away.test           a domain that is closed
    gone@l.test         has moved to sam@new.test, and mail goes on in silence
    told@l.test         the same, and the sender is told
    referred@l.test     the same, mail is refused and the sender is told
    secret@l.test       the same, mail is refused and the sender is not told

Sam Sample, Olga Owner and nick have an account, and an app password that is
their name and `-secret`. Olga runs l.test. Nick, at c.test, has no address here.
"""

from __future__ import annotations

import datetime

from django.utils import timezone

from aliases.actions import create, disable
from aliases.moving.actions import create_moved
from lists.actions import create_list
from lists.subscriptions.actions import join
from project.models import User
from smtpd.correction import Correction
from smtpd.domains.actions import add_domain
from smtpd.models import AppPassword, Domain
from smtpd.submission import passwords

SAM, OLGA, NICK = "sam@people.test", "olga@people.test", "nick@c.test"
NAMES = {SAM: "Sam Sample", OLGA: "Olga Owner", NICK: ""}
MOVED = {
    "gone@l.test": Correction.FORWARD,
    "told@l.test": Correction.TELL,
    "referred@l.test": Correction.REFER,
    "secret@l.test": Correction.REFUSE,
}


def seed() -> None:
    """Make the site: see the head of this file."""
    add_domain("l.test", dkim="")
    add_domain("away.test", dkim="")
    for mailbox, name in NAMES.items():
        _give_account(mailbox, name)
    Domain.objects.get(name="l.test").admins.add(User.objects.get(email=OLGA))
    _make_aliases()
    join(create_list("talk@l.test", "Talk", owner=OLGA), SAM)
    create_list("club@l.test", "Club", owner=OLGA, others="refuse")
    Domain.objects.filter(name="away.test").update(is_active=False)


def login_of(name: str) -> tuple[str, str]:
    """Name and password of sam, olga or nick."""
    mailbox = {"sam": SAM, "olga": OLGA, "nick": NICK}[name]
    return mailbox, f"{name}-secret"


def _give_account(mailbox: str, name: str) -> None:
    user = User.objects.create_user(mailbox, name=name)
    password = f"{mailbox.partition('@')[0]}-secret"
    AppPassword.objects.create(
        user=user, name="dialogues", hash=passwords.digest(password)
    )


def _make_aliases() -> None:
    create("team@l.test", [SAM, OLGA])
    create("sam@l.test", [SAM])
    create("sample@l.test", [SAM])
    create("postmaster@l.test", [OLGA])
    create("team@away.test", [SAM])
    disable(create("closed@l.test", [OLGA]))
    expired = create("expired@l.test", [OLGA]).address
    expired.expires_at = timezone.now() - datetime.timedelta(days=1)
    expired.save()
    for mailbox, correction in MOVED.items():
        create_moved(mailbox, "sam@new.test", correction)
