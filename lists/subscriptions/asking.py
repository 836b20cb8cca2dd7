"""The verbs of asking to join and to leave: on a page, by mail, and the answer.

Anybody may ask for any address, so nothing is done before the address itself
has answered, and nobody learns who is a member.
"""

from __future__ import annotations

import logging

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from lists import notices
from lists.models import MailingList, Request
from lists.subscriptions import addresses, commands, limits
from lists.subscriptions.actions import find, join, leave_anyway, person_of
from lists.subscriptions.addresses import BadAddress, PersonAddress
from lists.subscriptions.commands import Word
from smtpd import tokens
from smtpd.facts import Facts
from smtpd.models import Address, Message
from smtpd.tokens import Purpose

log = logging.getLogger(__name__)


class JoiningClosed(ValidationError):
    """Owners add the members of this list; nobody can ask to join."""


def ask_to_join(
    mlist: MailingList, address: str, *, name: str = "", asked_from: str = ""
) -> None:
    """Mail an address a question whether it wants to join.

    Say nothing about who is a member: the caller shows the same page whatever
    happened. Beyond the limits on such mail nothing is sent, silently. Raise
    ValidationError for what is no address, JoiningClosed when owners add members.
    """
    person = person_of(address)
    if mlist.joining == MailingList.Joining.CLOSED:
        raise JoiningClosed("Owners add the members of this list.", code="closed")
    request = limits.note(
        Request.Kind.JOIN, mlist, person, name=name, asked_from=asked_from
    )
    if request is None:
        return
    subscription = find(mlist, person)
    if subscription:
        notices.already_member(request, subscription)
    else:
        notices.confirm_join(request)


def ask_to_leave(mlist: MailingList, address: str, *, asked_from: str = "") -> None:
    """Mail an address a question whether it wants to leave.

    The same promises as ask_to_join, but for every list.
    """
    person = person_of(address)
    request = limits.note(Request.Kind.LEAVE, mlist, person, asked_from=asked_from)
    if request is None:
        return
    if find(mlist, person):
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
        _leave_confirmed(mlist, person_of(request.address))
    return True


def _leave_confirmed(mlist: MailingList, person: PersonAddress) -> None:
    subscription = find(mlist, person)
    if subscription:
        leave_anyway(subscription)
        notices.goodbye(mlist, person.address)


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
