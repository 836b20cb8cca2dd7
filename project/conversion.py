"""An alias becomes a list, a list becomes an alias: the address stays.

Its row stays the same row, so there is no moment at which mail to it is
refused. Only an alias of people can become a list: a list cannot take an
alias or a list of this site for a subscriber, because copies go out to people
and answer for their bounces. Who has such targets replaces them first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import transaction

from aliases import actions as aliases
from aliases.expansion import MAX_WIDTH
from aliases.models import Alias
from aliases.targets import ROLES
from lists.actions import list_at
from lists.models import MailingList, Post
from lists.subscriptions.actions import join
from smtpd.models import Address, Domain

log = logging.getLogger(__name__)


class NotConverted(ValidationError):
    """It cannot become the other thing; its messages say why, to a person."""


class WouldLose(NotConverted):
    """Only with the person's consent: something is gone afterwards."""


@transaction.atomic
def alias_to_list(alias: Alias, name: str, *, owner: str) -> MailingList:
    """Make the alias a list and its targets subscribers.

    What strangers notice stays as it was: the list is not public, nobody can
    ask to join, anyone may post. The owner changes that as they like.
    """
    address = Address.objects.select_for_update().get(pk=alias.address_id)
    _refuse_role(address)
    _refuse_moved(address)
    targets = [target.mailbox for target in alias.targets.all()]
    _refuse_our_own(targets)
    alias.delete()
    with _refusals():
        mlist = list_at(
            address,
            name,
            owner=owner,
            is_public=False,
            joining=MailingList.Joining.CLOSED,
            posters=MailingList.Posters.ANYONE,
        )
        for target in targets:
            join(mlist, target)
    log.info("address=%s alias-to-list members=%d", address, len(targets))
    return mlist


@transaction.atomic
def list_to_alias(mlist: MailingList, *, confirmed: bool = False) -> Alias:
    """Make the list an alias of those who get its mail now.

    Refused while posts wait for a moderator or for their copies: their senders
    were told 250. Past posts and the members who get no mail now (paused, or
    by their own choice) are forgotten, and so only when `confirmed`; before
    that WouldLose says how many there are. Messages stay, with their traces.
    """
    address = Address.objects.select_for_update().get(pk=mlist.address_id)
    _refuse_pending(mlist)
    targets = list(
        mlist.subscriptions.filter(suspended_by="")
        .exclude(mode="none")
        .values_list("subscriber__address", flat=True)
    )
    if len(targets) > MAX_WIDTH:
        raise NotConverted(f"An alias has at most {MAX_WIDTH} targets.")
    if not confirmed:
        _refuse_loss(mlist, len(targets))
    mlist.delete()
    address.kind = Address.Kind.ALIAS
    address.save(update_fields=["kind"])
    alias = Alias.objects.create(address=address, description=mlist.name)
    with _refusals():
        aliases.update(alias, targets)
    log.info("address=%s list-to-alias targets=%d", address, len(targets))
    return alias


@contextmanager
def _refusals() -> Iterator[None]:
    """What the other room refuses is a refusal of ours."""
    try:
        yield
    except ValidationError as problem:
        raise NotConverted(problem.messages) from problem


def _refuse_role(address: Address) -> None:
    if address.local_part in ROLES:
        raise NotConverted(f"{address} must stay an alias: every domain has it.")


def _refuse_moved(address: Address) -> None:
    if address.kind == Address.Kind.MOVED:
        raise NotConverted(f"{address} has moved: change it back into an alias first.")


def _refuse_our_own(targets: list[str]) -> None:
    """Domains of ours hold no people: what is there is an alias or a list."""
    hosts = {target.rpartition("@")[2] for target in targets}
    ours = set(Domain.objects.filter(name__in=hosts).values_list("name", flat=True))
    own = [target for target in targets if target.rpartition("@")[2] in ours]
    if own:
        raise NotConverted(
            f"{', '.join(own)}: an address of this site cannot be a subscriber. "
            "Put the people behind it among the targets first."
        )


def _refuse_pending(mlist: MailingList) -> None:
    if held := Post.objects.filter(mailing_list=mlist).held().count():
        raise NotConverted(f"Posts that wait for a moderator: {held}.")
    if waiting := Post.objects.filter(mailing_list=mlist).to_fan_out().count():
        raise NotConverted(f"Posts that wait for their copies: {waiting}.")


def _refuse_loss(mlist: MailingList, kept: int) -> None:
    losses = {
        "past posts": mlist.posts.count(),
        "members who get no mail now": mlist.subscriptions.count() - kept,
    }
    lost = ", ".join(f"{count} {what}" for what, count in losses.items() if count)
    if lost:
        raise WouldLose(f"This forgets {lost}.")
