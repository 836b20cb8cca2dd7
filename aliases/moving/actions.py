"""What people do with addresses that have moved."""

from __future__ import annotations

import logging

from django.db import transaction

from aliases.actions import (
    Refused,
    check_targets,
    create,
    mailbox_of,
    one_at_a_time,
    refuse_role,
    update,
)
from aliases.models import Alias
from smtpd.models import Address

__all__ = ["Refused", "create_moved", "move", "move_back"]

log = logging.getLogger(__name__)


@transaction.atomic
def move(
    alias: Alias, moved_to: str, correction: str = "", description: str | None = None
) -> None:
    """Say that the person behind an address is at a new one now.

    The targets are kept and get nothing until move_back. What has moved
    already moves on. Refused when the new address leads back here.
    """
    refuse_role(alias, "moved")
    one_at_a_time()
    checked = check_targets(mailbox_of(alias), [moved_to])
    if len(checked) != 1:
        raise Refused("A person moves to one new address.")
    address = alias.address
    address.kind = Address.Kind.MOVED
    address.moved_to = checked[0]
    address.correction = correction
    address.save(update_fields=["kind", "moved_to", "correction"])
    if description is not None:
        alias.description = description
        alias.save(update_fields=["description"])
    log.info("alias=%s moved correction=%s", alias, correction or "default")


@transaction.atomic
def move_back(alias: Alias) -> None:
    """Make it an alias of its former targets again; of the new address if none.

    Refused when they have come to lead back here in the meantime.
    """
    one_at_a_time()
    address = alias.address
    moved_to = address.moved_to
    address.kind = Address.Kind.ALIAS
    address.moved_to = address.correction = ""
    address.save(update_fields=["kind", "moved_to", "correction"])
    former = [target.mailbox for target in alias.targets.all()]
    update(alias, former or [moved_to])
    log.info("alias=%s moved back", alias)


@transaction.atomic
def create_moved(
    address: str, moved_to: str, correction: str = "", description: str = ""
) -> Alias:
    """Answer for somebody who has gone; refused as create and move are."""
    alias = create(address, [moved_to], description)
    move(alias, moved_to, correction)
    # It never was an alias: there is nothing to go back to.
    alias.targets.all().delete()
    return alias
