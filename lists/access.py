"""Who may see and do what on a list.

A stranger cannot tell a private list from one that does not exist: both are
404. Site admins, and the admins of a list's domain, count as its owners.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Protocol

from django.db.models import Q, QuerySet
from django.http import Http404

from lists.models import MailingList, Subscription, Wave
from lists.models.wave import WaveQuerySet
from smtpd.models import Address, Domain


class Person(Protocol):
    """Whoever looks at a page, signed in or not."""

    @property
    def pk(self) -> Any: ...

    @property
    def is_superuser(self) -> bool: ...

    @property
    def is_authenticated(self) -> bool: ...


class Role(IntEnum):
    """What somebody is to a list; each may do what the ones before may."""

    STRANGER = 0
    MEMBER = 1
    MODERATOR = 2
    OWNER = 3


ROLES = {
    Subscription.Role.MEMBER: Role.MEMBER,
    Subscription.Role.MODERATOR: Role.MODERATOR,
    Subscription.Role.OWNER: Role.OWNER,
}


def role_on(user: Person, mlist: MailingList) -> Role:
    """The highest role somebody has, by any of their addresses."""
    if not user.is_authenticated:
        return Role.STRANGER
    if user.is_superuser or mlist.address.domain.admins.filter(pk=user.pk).exists():
        return Role.OWNER
    held = subscriptions_of(user).filter(mailing_list=mlist)
    return max(
        (
            ROLES[Subscription.Role(role)]
            for role in held.values_list("role", flat=True)
        ),
        default=Role.STRANGER,
    )


def subscriptions_of(user: Person) -> QuerySet[Subscription]:
    """Everything somebody is subscribed to, by any of their addresses."""
    if not user.is_authenticated:
        return Subscription.objects.none()
    return Subscription.objects.filter(
        Q(subscriber__user=user.pk) | Q(subscriber__folded=_email(user))
    )


def lists_with_role(user: Person, role: Role) -> QuerySet[MailingList]:
    """The lists on which somebody has at least this role."""
    lists = MailingList.objects.select_related("address__domain")
    if not user.is_authenticated:
        return lists.none()
    if user.is_superuser:
        return lists
    enough = [name for name, held in ROLES.items() if held >= role]
    mine = subscriptions_of(user).filter(role__in=enough).values("mailing_list")
    return lists.filter(
        Q(pk__in=mine) | Q(address__domain__in=Domain.objects.filter(admins=user.pk))
    )


def waves_of(user: Person) -> WaveQuerySet:
    """The waves somebody decides about: of posts to their lists, or all of them.

    One of a domain touches many lists: whoever runs the site decides.
    """
    waves = Wave.objects.select_related(
        "post__message", "post__mailing_list__address__domain", "decided_by"
    ).defer("post__message__raw", "post__message__trace")
    if user.is_authenticated and user.is_superuser:
        return waves
    return waves.filter(post__mailing_list__in=lists_with_role(user, Role.OWNER))


def owner_addresses_of(mailbox: str) -> list[str]:
    """The `-owner` addresses of the open lists a folded mailbox owns."""
    owned = Subscription.objects.owners().filter(
        subscriber__folded=mailbox, mailing_list__address__domain__is_active=True
    )
    rows = owned.select_related("mailing_list__address__domain")
    lists = (row.mailing_list for row in rows)
    return [mlist.sub_address("owner") for mlist in lists if mlist.address.is_open]


def list_for_reader(user: Person, address: str) -> MailingList:
    """A list somebody may know of: public, or one of their own."""
    mlist = _find(address)
    if not mlist.is_public:
        _need(user, mlist, Role.MEMBER)
    return mlist


def may_read_posts(mlist: MailingList, role: Role) -> bool:
    """Whether a list's posts are shown: to its moderators, or as an archive."""
    return role >= Role.MODERATOR or (mlist.is_archived and role >= Role.MEMBER)


def posts_for_reader(user: Person, address: str) -> tuple[MailingList, Role]:
    """A list whose posts somebody may read, and their role."""
    mlist = list_for_reader(user, address)
    role = role_on(user, mlist)
    if not may_read_posts(mlist, role):
        raise Http404("no archive for you")
    return mlist, role


def list_for_moderator(user: Person, address: str) -> MailingList:
    """A list whose held posts somebody decides about."""
    mlist = _find(address)
    _need(user, mlist, Role.MODERATOR)
    return mlist


def list_for_owner(user: Person, address: str) -> MailingList:
    """A list somebody decides everything about."""
    mlist = _find(address)
    _need(user, mlist, Role.OWNER)
    return mlist


def _find(address: str) -> MailingList:
    rows = Address.objects.named(address)
    mlist = (
        MailingList.objects.select_related("address__domain")
        .filter(address__in=rows)
        .first()
    )
    if mlist is None:
        raise Http404("no such list")
    return mlist


def _need(user: Person, mlist: MailingList, role: Role) -> None:
    """404, not 403: what one may not see does not exist."""
    if role_on(user, mlist) < role:
        raise Http404("no such list")


def _email(user: Person) -> str:
    return str(getattr(user, "email", "")).lower()
