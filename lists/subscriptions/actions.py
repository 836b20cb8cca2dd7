"""The verbs of joining and leaving."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from lists import notices
from lists.models import MailingList, Request, Subscriber, Subscription
from lists.subscriptions import addresses, commands, limits
from lists.subscriptions.addresses import BadAddress, PersonAddress
from lists.subscriptions.commands import Word
from smtpd import tokens
from smtpd.facts import Facts
from smtpd.models import Address, Message
from smtpd.tokens import Purpose

log = logging.getLogger(__name__)

Role = Subscription.Role
SuspendedBy = Subscription.SuspendedBy


class JoiningClosed(ValidationError):
    """Owners add the members of this list; nobody can ask to join."""


class LastOwner(ValidationError):
    """A list cannot be left without anybody who decides about it."""


# --- asking: anybody may, for any address -----------------------------------


def ask_to_join(
    mlist: MailingList, address: str, *, name: str = "", asked_from: str = ""
) -> None:
    """Mail an address a question whether it wants to join.

    Say nothing about who is a member: the caller shows the same page whatever
    happened. Beyond the limits on such mail nothing is sent, silently. Raise
    ValidationError for what is no address, JoiningClosed when owners add members.
    """
    person = _person(address)
    if mlist.joining == MailingList.Joining.CLOSED:
        raise JoiningClosed("Owners add the members of this list.", code="closed")
    request = limits.note(
        Request.Kind.JOIN, mlist, person, name=name, asked_from=asked_from
    )
    if request is None:
        return
    subscription = _find(mlist, person)
    if subscription:
        notices.already_member(request, subscription)
    else:
        notices.confirm_join(request)


def ask_to_leave(mlist: MailingList, address: str, *, asked_from: str = "") -> None:
    """Mail an address a question whether it wants to leave.

    The same promises as ask_to_join, but for every list.
    """
    person = _person(address)
    request = limits.note(Request.Kind.LEAVE, mlist, person, asked_from=asked_from)
    if request is None:
        return
    if _find(mlist, person):
        notices.confirm_leave(request)
    else:
        notices.not_member(request)


@transaction.atomic
def confirm(request: Request) -> bool:
    """Do what was asked: the owner of the address has answered.

    Return False when the question has expired or the list has closed since. A
    second answer is True and changes nothing, even if the member has left since.
    """
    now = timezone.now()
    if request.confirmed_at is not None:
        return True
    mlist = request.mailing_list
    is_join = request.kind == Request.Kind.JOIN
    is_closed = is_join and mlist.joining == MailingList.Joining.CLOSED
    if request.expires_at <= now or is_closed:
        return False
    open_ones = Request.objects.filter(pk=request.pk, confirmed_at=None)
    request.confirmed_at = now
    if not open_ones.update(confirmed_at=now):
        return True
    log.info("confirmed kind=%s list=%s request=%s", request.kind, mlist.pk, request.pk)
    if is_join:
        join(mlist, request.address, name=request.name, verified=True, welcome=True)
    elif request.kind == Request.Kind.LEAVE:
        _leave_confirmed(mlist, _person(request.address))
    return True


def _leave_confirmed(mlist: MailingList, person: PersonAddress) -> None:
    subscription = _find(mlist, person)
    if subscription:
        leave(subscription)
        notices.goodbye(mlist, person.address)


# --- members ----------------------------------------------------------------


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
    person = _person(address)
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


def leave(subscription: Subscription) -> None:
    """Take a member off a list at once. Twice is harmless."""
    gone, _ = Subscription.objects.filter(pk=subscription.pk).delete()
    if gone:
        log.info(
            "left list=%s subscription=%s role=%s",
            subscription.mailing_list_id,
            subscription.pk,
            subscription.role,
        )


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
        leave(subscription)


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
    others = (
        Subscription.objects.select_for_update()
        .filter(mailing_list=subscription.mailing_list_id)
        .owners()
        .exclude(pk=subscription.pk)
    )
    steps_down = subscription.role == Role.OWNER and role != Role.OWNER
    if steps_down and not others:
        raise LastOwner("Make somebody else an owner first.", code="last_owner")
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


# --- by mail ----------------------------------------------------------------


def take_command(mlist: MailingList, kind: str, message: Message, facts: Facts) -> None:
    """Do what mail to a sub-address of a list asks for.

    `kind` is the sub-address: join, subscribe, leave, unsubscribe or request.
    Only the address in From is ever written to, never for a machine, and
    within the limits on all such mail.
    """
    person = _answerable(facts)
    if person is None:
        log.info("command_ignored list=%s message=%s", mlist.pk, message.key)
        return
    command = commands.read(kind, facts.subject, bytes(message.raw))
    log.info("command word=%s list=%s message=%s", command.word, mlist.pk, message.key)
    asked_from = f"mail {message.peer}" if message.peer else ""
    if command.word is Word.CONFIRM:
        number = tokens.read(Purpose.CONFIRM, command.token)
        if number is not None:
            take_confirmation(number, facts)
        return
    if command.word is Word.LEAVE:
        ask_to_leave(mlist, person.address, asked_from=asked_from)
        return
    is_closed = mlist.joining == MailingList.Joining.CLOSED
    if command.word is Word.JOIN and not is_closed:
        ask_to_join(mlist, person.address, asked_from=asked_from)
        return
    request = limits.note(Request.Kind.HELP, mlist, person, asked_from=asked_from)
    if request is None:
        return
    if command.word is Word.JOIN:
        notices.not_open(request)
    else:
        notices.how_lists_work(request)


def take_confirmation(number: int, facts: Facts) -> bool:
    """Confirm by mail to the signed address of a question.

    An automatic answer is no consent: it may come from somebody who never
    asked for anything. Return whether it was confirmed.
    """
    if commands.is_automatic(facts):
        return False
    request = (
        Request.objects.select_related("mailing_list__address__domain")
        .filter(pk=number)
        .first()
    )
    return request is not None and confirm(request)


def _answerable(facts: Facts) -> PersonAddress | None:
    """The one author an answer can go to without harm, if there is one."""
    if commands.is_automatic(facts) or len(facts.authors) != 1:
        return None
    try:
        person = addresses.read(facts.authors[0])
    except BadAddress:
        return None
    ours = Address.objects.named(person.folded).filter(kind=Address.Kind.LIST)
    if addresses.is_robot(person.folded) or ours.exists():
        return None
    return person


# --- addresses --------------------------------------------------------------


def _person(address: str) -> PersonAddress:
    """An address fit for storing; what is none is the asker's mistake."""
    try:
        return addresses.read(address)
    except BadAddress as error:
        raise ValidationError(str(error).capitalize() + ".", code="address") from error


def _find(mlist: MailingList, person: PersonAddress) -> Subscription | None:
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
