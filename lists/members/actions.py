"""The verbs of an owner for the members of a list."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction

from lists.models import MailingList, MemberImport, Subscription
from lists.subscriptions import rows
from lists.subscriptions.actions import OTHER_OWNER, LastOwner, lock
from lists.subscriptions.tasks import run_import
from smtpd.queue.nudge import nudge

log = logging.getLogger(__name__)


@transaction.atomic
def start_import(
    mlist: MailingList, text: str, *, by: int | None, is_dry_run: bool
) -> MemberImport:
    """Have a worker read a list of people; a dry run only says what would happen."""
    job = MemberImport.objects.create(
        mailing_list=mlist,
        by_id=by,
        text=text,
        is_dry_run=is_dry_run,
        total=len(rows.lines(text)),
    )
    log.info("import_started import=%s list=%s dry=%s", job.pk, mlist.pk, is_dry_run)
    nudge(run_import, job.pk)
    return job


def import_in_earnest(job: MemberImport) -> MemberImport:
    """Do what a dry run announced, as a job of its own."""
    return start_import(job.mailing_list, job.text, by=job.by_id, is_dry_run=False)


@transaction.atomic
def remove(mlist: MailingList, ids: Iterable[int]) -> int:
    """Take members off a list without a word to them; return how many were on it.

    Raise LastOwner, and remove nobody, when no owner would be left.
    """
    lock(mlist.pk)
    members = mlist.subscriptions.all()
    leaving = members.filter(pk__in=list(ids))
    owners = members.owners()
    loses_owner = leaving.owners().exists()
    if loses_owner and not owners.exclude(pk__in=leaving.values("pk")).exists():
        raise LastOwner(OTHER_OWNER, code="last_owner")
    count = leaving.count()
    leaving.delete()
    log.info("removed list=%s members=%s", mlist.pk, count)
    return count


def set_posting(subscription: Subscription, posting: str) -> None:
    """Trust a member's posts, or look at each of them."""
    subscription.posting = Subscription.Posting(posting)
    subscription.save(update_fields=["posting"])
    log.info("posting subscription=%s posting=%s", subscription.pk, posting)
