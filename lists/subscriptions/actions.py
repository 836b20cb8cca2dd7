"""The verbs of membership: join, leave, and what a member or an owner changes.

Whoever calls them has the right to; how a stranger asks is in `asking`.
"""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from lists import notices
from lists.models import MailingList, Subscriber, Subscription
from lists.subscriptions import addresses
from lists.subscriptions.addresses import BadAddress, PersonAddress
from smtpd import tokens
from smtpd.tokens import Purpose

log = logging.getLogger(__name__)

Role = Subscription.Role
SuspendedBy = Subscription.SuspendedBy


OTHER_OWNER = "Make somebody else an owner first."
STAY = (
    "You are the only owner of this list. Make somebody else an owner first, or"
    " delete the list."
)


class LastOwner(ValidationError):
    """A list cannot be left without anybody who decides about it."""


@transaction.atomic
def join(
    mlist: MailingList,
    address: str,
    *,
    name: str = "",
    role: str = Role.MEMBER,
    verified: bool = False,
    welcome: bool = False,
) -> tuple[Subscription, bool]:
    """Put an address on a list; True when it was not on it yet.

    No question is asked: the caller has the owner's word or the member's
    answer. A member keeps role and mode, only a higher role is taken. Raise
    ValidationError for what is no address.
    """
    person = person_of(address)
    _refuse_own(mlist, person)
    subscriber, _ = Subscriber.objects.get_or_create(
        folded=person.folded,
        defaults={
            "address": person.address,
            "domain": person.domain,
            "name": addresses.one_line(name),
        },
    )
    if verified:
        _mark_verified(subscriber, name)
    subscription, is_new = Subscription.objects.get_or_create(
        mailing_list=mlist, subscriber=subscriber, defaults={"role": role}
    )
    if not is_new and _is_higher(role, subscription.role):
        subscription.role = role
        subscription.save(update_fields=["role"])
    if is_new:
        log.info("joined list=%s subscription=%s", mlist.pk, subscription.pk)
        if welcome:
            notices.welcome(subscription)
    return subscription, is_new


@transaction.atomic
def leave(subscription: Subscription) -> None:
    """Take a member off a list at once. Twice is harmless.

    Raise LastOwner rather than leave the list without one.
    """
    lock(subscription.mailing_list_id)
    if is_last_owner(subscription):
        raise LastOwner(STAY, code="last_owner")
    _remove(subscription)


@transaction.atomic
def leave_anyway(subscription: Subscription) -> None:
    """Take a member off a list by a wish that nobody may refuse (RFC 8058 3.1).

    A list that loses its last owner by it is in the hands of its domain's
    admins from then on: they are told.
    """
    lock(subscription.mailing_list_id)
    was_last = is_last_owner(subscription)
    if _remove(subscription) and was_last:
        notices.owner_left(subscription)


def is_last_owner(subscription: Subscription) -> bool:
    """Whether nobody else would decide about the list."""
    if subscription.role != Role.OWNER:
        return False
    others = Subscription.objects.filter(mailing_list=subscription.mailing_list_id)
    return not others.owners().exclude(pk=subscription.pk).exists()


def lock(mlist_id: int) -> None:
    """Let those who change who owns a list pass one after the other."""
    list(MailingList.objects.select_for_update().filter(pk=mlist_id))


def _remove(subscription: Subscription) -> bool:
    gone, _ = Subscription.objects.filter(pk=subscription.pk).delete()
    if gone:
        log.info(
            "left list=%s subscription=%s role=%s",
            subscription.mailing_list_id,
            subscription.pk,
            subscription.role,
        )
    return bool(gone)


def unsubscribe(token: str) -> bool:
    """Leave by the one-click link of a copy (RFC 8058 3.2); no mail is sent.

    Return False only for a forged token: whoever is gone already asked before.
    """
    number = tokens.read(Purpose.UNSUBSCRIBE, token)
    if number is None:
        return False
    unsubscribe_number(number)
    return True


def unsubscribe_number(number: int) -> None:
    """Leave by a token that was read already, from leave+T@ or a link."""
    subscription = Subscription.objects.filter(pk=number).first()
    if subscription:
        log.info("one_click subscription=%s", number)
        leave_anyway(subscription)


def pause(subscription: Subscription, by: str) -> None:
    """Stop sending to a member, who stays on the list; `by` is a SuspendedBy.

    What an owner stopped stays stopped by the owner.
    """
    if subscription.suspended_by == SuspendedBy.OWNER:
        return
    subscription.suspended_by = SuspendedBy(by)
    subscription.suspended_at = timezone.now()
    subscription.save(update_fields=["suspended_by", "suspended_at"])
    log.info("paused subscription=%s by=%s", subscription.pk, by)


def resume(subscription: Subscription, by: str = SuspendedBy.MEMBER) -> bool:
    """Send to a member again and forget old bounces.

    Return False when an owner stopped it and it is not an owner who resumes.
    """
    if SuspendedBy.OWNER == subscription.suspended_by != by:
        return False
    subscription.suspended_by = SuspendedBy.NOBODY
    subscription.suspended_at = None
    subscription.bounce_score = 0
    subscription.last_bounce_on = None
    subscription.save(
        update_fields=[
            "suspended_by",
            "suspended_at",
            "bounce_score",
            "last_bounce_on",
        ]
    )
    log.info("resumed subscription=%s by=%s", subscription.pk, by)
    return True


def set_mode(subscription: Subscription, mode: str) -> None:
    """Choose how a member gets the list's mail."""
    subscription.mode = Subscription.Mode(mode)
    subscription.save(update_fields=["mode"])


@transaction.atomic
def set_role(subscription: Subscription, role: str) -> None:
    """Make somebody owner, moderator or plain member.

    Raise LastOwner rather than leave the list without one.
    """
    lock(subscription.mailing_list_id)
    if role != Role.OWNER and is_last_owner(subscription):
        raise LastOwner(OTHER_OWNER, code="last_owner")
    subscription.role = Role(role)
    subscription.save(update_fields=["role"])
    log.info("role subscription=%s role=%s", subscription.pk, role)


def link_user(user: Any) -> int:
    """Give a person who signed in the subscriptions of their verified addresses.

    Return how many addresses became theirs.
    """
    known = EmailAddress.objects.filter(user=user)
    verified = {row.email.lower() for row in known if row.verified}
    if not known:
        # An account an operator made: its address is the operator's word.
        verified = {user.email.lower()}
    return (
        Subscriber.objects.filter(folded__in=verified)
        .exclude(user=user)
        .update(user=user, verified_at=timezone.now())
    )


def person_of(address: str) -> PersonAddress:
    """An address fit for storing; what is none is the asker's mistake."""
    try:
        return addresses.read(address)
    except BadAddress as error:
        raise ValidationError(str(error).capitalize() + ".", code="address") from error


def find(mlist: MailingList, person: PersonAddress) -> Subscription | None:
    """The subscription of an address on a list, if it is on it."""
    return (
        Subscription.objects.select_related(
            "subscriber", "mailing_list__address__domain"
        )
        .filter(mailing_list=mlist, subscriber__folded=person.folded)
        .first()
    )


def _refuse_own(mlist: MailingList, person: PersonAddress) -> None:
    """A list on itself would send each post to itself for ever."""
    if person.folded == mlist.posting_address.lower():
        raise ValidationError("A list cannot be on itself.", code="address")


def _mark_verified(subscriber: Subscriber, name: str) -> None:
    subscriber.verified_at = timezone.now()
    subscriber.name = subscriber.name or addresses.one_line(name)
    subscriber.save(update_fields=["verified_at", "name"])


def _is_higher(role: str, than: str) -> bool:
    order = [Role.MEMBER, Role.MODERATOR, Role.OWNER]
    return order.index(Role(role)) > order.index(Role(than))
