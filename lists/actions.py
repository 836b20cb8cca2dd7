"""The verbs of a list itself: found it, change it, close it, delete it."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from lists.delivery.actions import fan_out_rest
from lists.models import MailingList, Subscription
from lists.subscriptions.actions import join, lock
from smtpd.events import add_event
from smtpd.models import Address, Domain

log = logging.getLogger(__name__)

# The addresses every list has besides its own; RFC 2142 6 names -request.
SUFFIXES = (
    "owner",
    "request",
    "join",
    "subscribe",
    "leave",
    "unsubscribe",
    "confirm",
    "bounces",
    "admin",
)
# RFC 2142 and our own signed addresses.
RESERVED = frozenset(
    {
        "postmaster",
        "abuse",
        "hostmaster",
        "webmaster",
        "security",
        "mailer-daemon",
        "noreply",
        "no-reply",
        "bounces",
        "confirm",
        "leave",
    }
)
# With its longest suffix a local part has at most 64 octets (RFC 5321 4.5.3.1.1).
MAX_NAME = 64 - len("-unsubscribe")
NOT_DECIDED = "{name} was deleted before a moderator had decided: nobody gets it."
# What an owner may decide about a list.
SETTINGS = frozenset(
    {
        "name",
        "description",
        "is_public",
        "joining",
        "posters",
        "others",
        "subject_prefix",
        "footer",
        "reply_to",
        "max_size",
        "is_archived",
        "bounce_limit",
    }
)
# Where dots and hyphens may stand; _may_stand says what else.
_LOCAL_PART = re.compile(r"[^._\s-](?:[^.\s]|\.(?!\.))*(?<![.-])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@transaction.atomic
def create_list(
    address: str, name: str, *, owner: str = "", **settings: object
) -> MailingList:
    """Found a list at a free address of a hosted domain, with its first owner.

    All or nothing. Raise ValidationError for an address that is taken or no
    list's; by field for settings that do not exist or do not hold.
    """
    local_part, domain = _free_address(address)
    try:
        with transaction.atomic():
            row = Address.objects.create(
                domain=domain, local_part=local_part, kind=Address.Kind.LIST
            )
    except IntegrityError as error:
        raise _taken(f"{local_part}@{domain.name}") from error
    return list_at(row, name, owner=owner, **settings)


@transaction.atomic
def list_at(
    address: Address, name: str, *, owner: str = "", **settings: object
) -> MailingList:
    """Found a list at an address that exists: of an alias that becomes one."""
    if address.kind != Address.Kind.LIST:
        address.kind = Address.Kind.LIST
        address.save(update_fields=["kind"])
    mlist = MailingList(address=address)
    _set(mlist, {"name": name or address.local_part, **settings})
    mlist.save()
    if owner:
        join(mlist, owner, role=Subscription.Role.OWNER)
    log.info("list_created list=%s address=%s", mlist.pk, address)
    return mlist


def update_list(mlist: MailingList, **settings: object) -> None:
    """Change what an owner decides; all or nothing, ValidationError by field."""
    _set(mlist, settings)
    mlist.save(update_fields=list(settings))
    log.info("list_changed list=%s settings=%s", mlist.pk, ",".join(settings))


def close_list(mlist: MailingList) -> None:
    """Take no more mail. Members, posts and settings stay; see reopen_list."""
    _set_enabled(mlist, is_enabled=False)


def reopen_list(mlist: MailingList) -> None:
    """Take mail again after close_list."""
    _set_enabled(mlist, is_enabled=True)


@transaction.atomic
def delete_list(mlist: MailingList) -> None:
    """Remove a list, its members and its posts for good; the address is free again.

    What the site answered with 250 can still be traced. Posts that were accepted
    reach all who are on the list now, also those without copies yet; those that
    wait for a moderator reach nobody, and their traces say why.
    """
    # A message that comes in meanwhile waits here, and then finds no list: 451.
    lock(mlist.pk)
    fan_out_rest(mlist)
    for post in mlist.posts.held().select_related("message"):
        add_event(post.message, "cancelled", NOT_DECIDED.format(name=mlist.name))
    log.info("list_deleted list=%s address=%s", mlist.pk, mlist.posting_address)
    mlist.address.delete()


def _set_enabled(mlist: MailingList, *, is_enabled: bool) -> None:
    mlist.address.is_enabled = is_enabled
    mlist.address.save(update_fields=["is_enabled"])
    log.info("list_enabled list=%s is_enabled=%s", mlist.pk, is_enabled)


def _free_address(text: str) -> tuple[str, Domain]:
    """Check a new list's address; return its two parts."""
    text = unicodedata.normalize("NFC", text.strip()).lower()
    local_part, at, domain_name = text.rpartition("@")
    if not at:
        raise _refused("A list's address has a name, an @ and a domain.")
    domain = Domain.objects.filter(name=domain_name).first()
    if domain is None:
        raise _refused(f"{domain_name} is not a domain of this site.")
    if not _LOCAL_PART.fullmatch(local_part) or not all(map(_may_stand, local_part)):
        raise _refused(
            "A list's name has letters, digits, dots, hyphens and underscores,"
            " begins with a letter or digit and does not end with a dot or hyphen."
        )
    if len(local_part.encode()) > MAX_NAME:
        raise _refused(f"A list's name has at most {MAX_NAME} characters.")
    stem, _, suffix = local_part.rpartition("-")
    if local_part in RESERVED or (stem and suffix in SUFFIXES):
        raise _refused(f"{local_part}@ is reserved for the site's own mail.")
    _refuse_taken(domain, local_part)
    return local_part, domain


def _may_stand(character: str) -> bool:
    """Letters and digits of every script, and their marks (RFC 6531 3.3)."""
    return character in "._-" or unicodedata.category(character)[0] in "LMN"


def _refuse_taken(domain: Domain, local_part: str) -> None:
    """The list's own address and all its sub-addresses must be free."""
    wanted = [local_part, *(f"{local_part}-{suffix}" for suffix in SUFFIXES)]
    row = Address.objects.filter(domain=domain, local_part__in=wanted).first()
    if row:
        raise _taken(f"{row.local_part}@{domain.name}")


def _taken(address: str) -> ValidationError:
    return ValidationError(f"{address} is taken.", code="taken")


def _refused(why: str) -> ValidationError:
    return ValidationError(why, code="address")


def _set(mlist: MailingList, values: dict[str, Any]) -> None:
    """Put checked values on a list that is not saved yet."""
    for name, value in values.items():
        if name not in SETTINGS:
            raise ValidationError({name: "A list has no such setting."})
        if name != "footer" and name != "description" and _has_control(value):
            raise ValidationError({name: "No line breaks or control characters."})
        setattr(mlist, name, value)
    everything_else = [
        field.name for field in mlist._meta.fields if field.name not in values
    ]
    mlist.clean_fields(exclude=everything_else)


def _has_control(value: object) -> bool:
    return isinstance(value, str) and bool(_CONTROL.search(value))
