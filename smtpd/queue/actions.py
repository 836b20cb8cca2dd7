"""Put mail into the queue. What may be done to it there is in `orders`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils import timezone

from smtpd import utf8
from smtpd.columns import Columns
from smtpd.dsn import Wish
from smtpd.models import Delivery, Domain, Message, Outgoing
from smtpd.queue.destinations import as_sql, destination_of
from smtpd.queue.nudge import nudge
from smtpd.queue.schedule import HEAD_START, STEP, position
from smtpd.queue.tasks import deliver
from smtpd.statements import insert

State = Delivery.State

# Columns in the order of freeze()'s SELECT. What is not named in the query of
# the caller is the same for all rows. INSERT is the first word: Python counts
# the rows of a statement that begins with WITH as -1 on SQLite.
#
# The position in line (`schedule`) is a step behind the first that waits for the
# same destination, or behind the head start, and a step more for each row.
_FREEZE = """
INSERT INTO smtpd_delivery (
    outgoing_id, address, ref, destination, lane, state,
    attempts, claims, ambiguous, next_attempt_at,
    enhanced, text, host, updated_at
)
WITH recipients (address, ref, domain) AS ({recipients}),
lines (destination, head) AS MATERIALIZED (
  SELECT name, {least}(%s, COALESCE((
    SELECT MIN(next_attempt_at) FROM smtpd_delivery
    WHERE destination = name AND lane = %s AND state = 'queued'), %s))
  FROM (SELECT DISTINCT {destination} AS name FROM recipients) AS named)
SELECT %s, address, ref, lines.destination, %s, 'queued', 0, 0, 0,
  {least}(%s, {position}), '', '', '', %s
FROM recipients JOIN lines ON lines.destination = {destination}
"""
_STEPS = f"row_number() OVER () * {STEP.total_seconds()}"
# Both know the time to a millisecond at least.
_DIALECTS = {
    "postgresql": {
        "least": "LEAST",
        "position": f"lines.head + {_STEPS} * INTERVAL '1 s'",
    },
    "sqlite": {
        "least": "MIN",
        "position": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', lines.head,"
        f" ({_STEPS}) || ' seconds')",
    },
}
# What differs between rows of the ledger that have just come.
_ROWS = Columns(
    Delivery,
    *("outgoing", "address", "ref", "destination"),
    *("lane", "next_attempt_at", "updated_at"),
)


def enqueue(outgoing: Outgoing, recipients: Iterable[tuple[str, int | None]]) -> int:
    """Give each (mailbox, ref) its row in the ledger; return how many.

    A mailbox named twice gets one copy; case makes no difference here. Call
    it in the transaction that stored the message.
    """
    now = timezone.now()
    once = {address.lower(): (address, ref) for address, ref in recipients}
    rows = [
        (
            *(outgoing.pk, address, ref, destination_of(address)),
            *(outgoing.lane, position(now, number), now),
        )
        for number, (address, ref) in enumerate(once.values())
    ]
    _ROWS.insert(rows)
    if rows:
        nudge(deliver)
    return len(rows)


def forward(
    message: Message,
    head: bytes,
    recipients: Sequence[str],
    *,
    wish: Wish,
    written_to: str = "",
    signed_by: Domain | None = None,
) -> int:
    """Send a message on under its own reverse-path (RFC 5321 3.9.1).

    `head` is its header with what we put before it; the body stays. A report
    names the address of ours that the sender wrote to, if there is one. Return
    how many get it.
    """
    needs_utf8 = message.needs_utf8 or not written_to.isascii()
    if needs_utf8:
        # A copy of the body, which may be large.
        needs_utf8 = utf8.is_needed(head, bytes(message.raw)[message.body_at :])
    outgoing = Outgoing(
        message=message,
        lane=Outgoing.Lane.FAST,
        envelope=Outgoing.Envelope.FIXED,
        reverse_path=message.reverse_path,
        forward_path=written_to,
        notify=wish.notify,
        orcpt=wish.orcpt,
        head=head,
        needs_8bit=message.needs_8bit,
        needs_utf8=needs_utf8,
        dkim_domain=signed_by,
    )
    insert(outgoing)
    return enqueue(outgoing, [(recipient, None) for recipient in recipients])


def freeze(outgoing: Outgoing, recipients: tuple[str, Sequence[Any]]) -> int:
    """Give every recipient of a query its row, in one statement.

    The query, in SQL, and its parameters: it selects address, ref and domain,
    each address once. Who joins or leaves afterwards changes nothing for this
    message.
    """
    select, params = recipients
    moment = timezone.now()
    now, head = map(
        connection.ops.adapt_datetimefield_value, (moment, moment - HEAD_START)
    )
    lane = outgoing.lane
    told = [*params, head, lane, head, outgoing.pk, lane, now, now]
    with connection.cursor() as cursor:
        cursor.execute(_freezing(select, as_sql("domain")), told)
        count = int(cursor.rowcount)
    if count:
        nudge(deliver)
    return count


@lru_cache
def _freezing(select: str, destination: str) -> str:
    return _FREEZE.format(
        recipients=select, destination=destination, **_DIALECTS[connection.vendor]
    )
