"""Many members at once, and out again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from django.db import DataError, connection, transaction
from django.utils import timezone

from lists import notices
from lists.models import MailingList, MemberImport, Subscriber, Subscription
from lists.subscriptions import rows
from lists.subscriptions.rows import Problem, Row

log = logging.getLogger(__name__)

# Lines between two reports of progress, and rows of one INSERT.
CHUNK = 200
MAX_PROBLEMS = 200
MANY = 1000

State = MemberImport.State


def add_members(
    mlist: MailingList, people: Sequence[Row], *, is_dry_run: bool = False
) -> tuple[int, int]:
    """Put people on a list without asking them; return (added, present).

    Nobody is added twice, whoever else adds them at the same time. Call it
    with some hundreds at most.
    """
    wanted = {
        row.person.folded: row
        for row in reversed(people)
        if row.person.folded != mlist.posting_address.lower()
    }
    known = set(
        Subscription.objects.filter(
            mailing_list=mlist, subscriber__folded__in=wanted
        ).values_list("subscriber__folded", flat=True)
    )
    fresh = [row for folded, row in wanted.items() if folded not in known]
    if fresh and not is_dry_run:
        _insert(mlist, fresh)
    return len(fresh), len(known)


def _insert(mlist: MailingList, fresh: Sequence[Row]) -> None:
    """Two INSERTs that leave rows alone which are there already."""
    Subscriber.objects.bulk_create(
        [
            Subscriber(
                address=row.person.address,
                folded=row.person.folded,
                domain=row.person.domain,
                name=row.name,
            )
            for row in fresh
        ],
        ignore_conflicts=True,
    )
    ids = Subscriber.objects.filter(
        folded__in=[row.person.folded for row in fresh]
    ).values_list("pk", flat=True)
    Subscription.objects.bulk_create(
        [Subscription(mailing_list=mlist, subscriber_id=pk) for pk in ids],
        ignore_conflicts=True,
    )


def count_anew(added: int) -> None:
    """Have the database know how many there are now, behind many new ones.

    It would find out by itself in a minute or so; a post before that would be
    planned for the few there were, and take minutes to reach them all.
    """
    if added >= MANY:
        _analyze()


def count_as_it_grows(before: int, added: int) -> None:
    """The same in the middle of an import, each time that there are twice as many.

    A connection keeps its plans: one made for a small table reads all of a large one
    for each line.
    """
    if added >= MANY and added.bit_length() > before.bit_length():
        _analyze()


def _analyze() -> None:
    with connection.cursor() as cursor:
        for model in (Subscriber, Subscription):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"ANALYZE {table}")


def run_import(import_id: int) -> None:
    """Do a waiting import, or go on with one whose worker died.

    Lines and progress are written together, so nothing is done twice; a second
    worker of the same import gives way to the first.
    """
    job = (
        MemberImport.objects.select_related("mailing_list__address__domain", "by")
        .filter(pk=import_id, state__in=(State.WAITING, State.RUNNING))
        .first()
    )
    if job is None:
        return
    lines = rows.lines(job.text)
    MemberImport.objects.filter(pk=job.pk, state=State.WAITING).update(
        state=State.RUNNING, total=len(lines)
    )
    job.total = len(lines)
    try:
        while job.done < job.total:
            if not _step(job, lines):
                return
    except DataError:
        # Something in the text that the database cannot hold: no retry helps.
        log.exception("import_failed import=%s line=%s", job.pk, job.done)
        MemberImport.objects.filter(pk=job.pk).update(state=State.FAILED)
        return
    _finish(job)


def left_behind() -> list[int]:
    """Imports whose nudge was lost or whose worker died."""
    unfinished = MemberImport.objects.filter(state__in=(State.WAITING, State.RUNNING))
    return list(unfinished.order_by("pk").values_list("pk", flat=True)[:100])


@transaction.atomic
def _step(job: MemberImport, lines: Sequence[str]) -> bool:
    """Do the next lines; False when another worker has."""
    end = min(job.done + CHUNK, job.total)
    claimed = MemberImport.objects.filter(
        pk=job.pk, done=job.done, state=State.RUNNING
    ).update(done=end)
    if not claimed:
        return False
    people, problems = _read(lines, job.done, end)
    added, present = add_members(job.mailing_list, people, is_dry_run=job.is_dry_run)
    job.done = end
    if not job.is_dry_run:
        count_as_it_grows(job.added, job.added + added)
    job.added += added
    job.present += present
    job.problems = [*job.problems, *problems][:MAX_PROBLEMS]
    job.save(update_fields=["added", "present", "problems"])
    return True


def _read(
    lines: Sequence[str], start: int, end: int
) -> tuple[list[Row], list[Problem]]:
    people: list[Row] = []
    problems: list[Problem] = []
    for number in range(start, end):
        found, wrong = rows.read(lines[number], number + 1)
        people += found
        problems += wrong
    return people, problems


@transaction.atomic
def _finish(job: MemberImport) -> None:
    """The last word, once, whoever comes to say it."""
    now = timezone.now()
    finished = MemberImport.objects.filter(
        pk=job.pk, state=State.RUNNING, done=job.total
    ).update(state=State.DONE, finished_at=now)
    if finished:
        count_anew(0 if job.is_dry_run else job.added)
        job.state, job.finished_at = State.DONE, now
        log.info("import_done import=%s added=%s", job.pk, job.added)
        notices.import_done(job)


def export_members(mlist: MailingList) -> Iterator[list[str]]:
    """The rows of a CSV file of all members, its heading first."""
    yield ["address", "name", "role", "mode", "stopped by", "joined"]
    members = mlist.subscriptions.select_related("subscriber").order_by(
        "subscriber__folded"
    )
    for member in members.iterator(chunk_size=1000):
        cells = (
            member.subscriber.address,
            member.subscriber.name,
            member.role,
            member.mode,
            member.suspended_by,
            member.joined_at.date().isoformat(),
        )
        yield list(rows.safe_cells(cells))
