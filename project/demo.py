"""The site a newcomer meets: a domain, two lists, an alias and some people."""

from __future__ import annotations

from django.db import transaction

from aliases.actions import create as create_alias
from aliases.models import Alias
from lists.actions import create_list
from lists.models import MailingList
from lists.subscriptions.actions import join
from project.hosting import host_domain
from project.models import User
from smtpd.models import Address, Domain

DOMAIN = "lists.localhost"
OWNER = "olga@example.org"
PEOPLE = (
    ("Amara Okafor", "amara@example.org"),
    ("Bram de Wit", "bram@example.net"),
    ("Chiara Ricci", "chiara@example.com"),
    ("Dmitri Volkov", "dmitri@example.org"),
    ("Elif Demirtaş", "elif@example.net"),
    ("Farid Haddad", "farid@example.com"),
    ("Greta Lindqvist", "greta@example.org"),
    ("Hana Sato", "hana@example.net"),
    ("Ines Carvalho", "ines@example.com"),
    ("Jonas Weber", "jonas@example.org"),
    ("Kavya Nair", "kavya@example.net"),
    ("Liam Byrne", "liam@example.com"),
    ("Mori Tanaka", "mori@example.org"),
    ("Noor Rahman", "noor@example.net"),
    ("Oskar Nowak", "oskar@example.com"),
    ("Paula Jiménez", "paula@example.org"),
    ("Quentin Moreau", "quentin@example.net"),
    ("Rosa Delgado", "rosa@example.com"),
    ("Sam Whitlock", "sam@example.org"),
    ("Tove Hansen", "tove@example.net"),
    ("Uma Krishnan", "uma@example.com"),
    ("Viktor Horváth", "viktor@example.org"),
    ("Wanjiru Kamau", "wanjiru@example.net"),
    ("Xin Li", "xin@example.com"),
    ("Yusuf Demir", "yusuf@example.org"),
)


def fill() -> None:
    """Make what is missing. What is there already stays as it is."""
    with transaction.atomic():
        owner = _owner()
        if not Domain.objects.filter(name=DOMAIN).exists():
            host_domain(DOMAIN, "A place to try things")
        talk = _list(
            f"talk@{DOMAIN}",
            "Talk",
            owner,
            description="Where the demonstration's people talk with each other.",
            posters=MailingList.Posters.MEMBERS,
            is_archived=True,
        )
        news = _list(
            f"news@{DOMAIN}",
            "News",
            owner,
            description="One announcement now and then; only its owner writes.",
            posters=MailingList.Posters.OWNERS,
            others=MailingList.Others.REFUSE,
        )
        if not talk.subscriptions.filter(role="member").exists():
            for name, address in PEOPLE:
                join(talk, address, name=name, verified=True)
            for name, address in PEOPLE[:8]:
                join(news, address, name=name, verified=True)
        _alias(talk)


def _owner() -> User:
    found = User.objects.filter(email=OWNER).first()
    return found or User.objects.create_superuser(OWNER, name="Olga Petrova")


def _list(address: str, name: str, owner: User, **choices: object) -> MailingList:
    found = MailingList.objects.filter(address__in=Address.objects.named(address))
    mlist = found.first() or create_list(address, name, owner=owner.email, **choices)
    join(mlist, owner.email, name=owner.name, role="owner", verified=True)
    return mlist


def _alias(talk: MailingList) -> None:
    mailbox = f"hello@{DOMAIN}"
    if not Alias.objects.filter(address__in=Address.objects.named(mailbox)).exists():
        targets = ("amara@example.org", "bram@example.net", talk.posting_address)
        create_alias(mailbox, targets, "The first hello")
