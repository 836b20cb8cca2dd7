"""The log of 250s against the ledger and against what the next server has.

The invariants, as the README promises them and docs/faults.md numbers them:

I1  What was promised reaches everybody it is owed to, and its row says so.
I2  What was refused never arrives. What was neither arrives whole or not at all.
I3  Nobody has more copies than one and what the ledger owns up to.
I6  Nothing is left in between: every row is at an end.
I7  A second copy is the first one again: Message-ID, Date and body.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.faults.load import Submission
from tests.faults.told import Told, told
from tests.sink import Received
from tests.stack import Stack

# A message's key and one of its recipients.
Copy = tuple[str, str]

_KEY = re.compile(rb"(?im)^Message-ID: <([^@>\r\n]+)@load\.test>")
_DATE = re.compile(rb"(?im)^Date: .*$")
_ROWS = """
SELECT message.msg_id, delivery.address, delivery.state, delivery.ambiguous
FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
JOIN smtpd_message AS message ON message.id = outgoing.message_id
WHERE message.source = 'smtp'
"""
# A message that no door made anything of, or said why not.
_ORPHANS = """
SELECT msg_id FROM smtpd_message AS message
WHERE source = 'smtp'
  AND NOT EXISTS (SELECT 1 FROM lists_post WHERE message_id = message.id)
  AND NOT EXISTS (SELECT 1 FROM smtpd_outgoing WHERE message_id = message.id)
  AND NOT EXISTS (SELECT 1 FROM smtpd_event
    WHERE message_id = message.id AND kind IN ('cancelled', 'discarded'))
"""
# Ends at which no copy is owed: an operator, or the next server, said so.
EXCUSES = frozenset({"failed", "held", "cancelled", "quarantined"})


@dataclass
class Report:
    """What became of a storm's mail; `trouble` must be empty."""

    promised: int = 0
    refused: int = 0
    # Neither: the reply got lost, or was a 4xx after the dot.
    open: int = 0
    # ...and arrived nevertheless.
    open_arrived: int = 0
    arrived: int = 0
    # Second and further copies, and how many the ledger says there may be.
    doubled: int = 0
    ambiguous: int = 0
    # The site's own mail: reports and notices.
    told: Told = field(default_factory=Told)
    # By state, rows for which no copy is owed.
    excused: Counter[str] = field(default_factory=Counter)
    # I1: promised, and not there or not at an end.
    lost: list[str] = field(default_factory=list)
    # Everything else that must not be: each with its invariant.
    unexplained: list[str] = field(default_factory=list)

    @property
    def trouble(self) -> list[str]:
        """Whatever breaks an invariant."""
        return [*self.lost, *self.unexplained]

    def __str__(self) -> str:
        many = (
            f"{self.promised} promised, {self.refused} refused,"
            f" {self.open} open of which {self.open_arrived} arrived;"
            f" {self.arrived} copies, {self.doubled} of them second ones"
            f" ({self.ambiguous} owned up to); excused: {dict(self.excused)};"
            f" {self.told.arrived} from the site itself"
        )
        return "\n".join([many, *self.trouble[:40]])


def reconcile(
    stack: Stack,
    submissions: Sequence[Submission],
    copies: Iterable[Received],
    *,
    excuses: frozenset[str] = frozenset(),
) -> Report:
    """Compare the three; call it when all is quiet.

    `excuses` are the states in which a row may end without a copy.
    """
    report = Report()
    got, own = _by_copy(copies)
    report.told = told(stack, own)
    report.unexplained += report.told.trouble
    rows = _ledger(stack, report)
    known = {submission.key: submission for submission in submissions}
    for submission in submissions:
        _compare(submission, got, rows, excuses, report)
    for key, to in got.keys() | rows.keys():
        if key not in known or to not in known[key].allowed:
            report.unexplained.append(f"I2 {key} to {to}: nobody sent that")
    for (key, to), found in got.items():
        _count(key, to, found, rows.get((key, to)), report)
    orphans = [_bare(msg_id) for (msg_id,) in stack.rows(_ORPHANS)]
    report.unexplained += [
        f"I2 {key}: stored, and nothing made of it" for key in orphans
    ]
    return report


@dataclass
class _Row:
    """All rows of one message and recipient; with one list there is one."""

    states: list[str] = field(default_factory=list)
    ambiguous: int = 0


def _bare(msg_id: str) -> str:
    return msg_id.strip("<>").removesuffix("@load.test")


def _by_copy(
    copies: Iterable[Received],
) -> tuple[dict[Copy, list[bytes]], list[Received]]:
    """Each copy's Date and body, by message and recipient; and what is not ours."""
    got: dict[Copy, list[bytes]] = defaultdict(list)
    others = []
    for copy in copies:
        head, _, body = copy.raw.partition(b"\r\n\r\n")
        key = _KEY.search(head)
        if key is None:
            others.append(copy)
            continue
        told = b"\n".join(_DATE.findall(head)) + body
        for to in copy.recipients:
            got[str(key[1], "ascii"), to].append(told)
    return got, others


def _ledger(stack: Stack, report: Report) -> dict[Copy, _Row]:
    rows: dict[Copy, _Row] = defaultdict(_Row)
    for msg_id, address, state, ambiguous in stack.rows(_ROWS):
        row = rows[_bare(msg_id), address]
        row.states.append(state)
        row.ambiguous += ambiguous
        report.ambiguous += ambiguous
        if state == "queued":
            report.unexplained.append(f"I6 {_bare(msg_id)} to {address}: still waits")
    return dict(rows)


def _compare(
    submission: Submission,
    got: dict[Copy, list[bytes]],
    rows: dict[Copy, _Row],
    excuses: frozenset[str],
    report: Report,
) -> None:
    key = submission.key
    there = {to for to in submission.allowed if (key, to) in rows}
    arrived = {to for to in submission.allowed if (key, to) in got}
    if submission.is_promised or (submission.is_open and there):
        report.promised += submission.is_promised
        report.open_arrived += not submission.is_promised
        for to in sorted(submission.owed | there):
            _follow(key, to, rows.get((key, to)), to in arrived, excuses, report)
    elif not submission.is_open and there | arrived:
        why = f"{submission.code} {submission.text}"
        report.unexplained.append(f"I2 {key}: refused with {why}, and there")
    report.open += submission.is_open
    report.refused += not (submission.is_promised or submission.is_open)


def _follow(
    key: str,
    to: str,
    row: _Row | None,
    has_copy: bool,
    excuses: frozenset[str],
    report: Report,
) -> None:
    """What became of one recipient of a message that is ours."""
    if row is None:
        report.lost.append(f"I1 {key} to {to}: no row")
        return
    for state in row.states:
        if state == "sent" and not has_copy:
            report.lost.append(f"I1 {key} to {to}: sent, and never arrived")
        elif state in excuses:
            report.excused[state] += 1
        elif state != "sent":
            report.lost.append(f"I1 {key} to {to}: {state}")


def _count(
    key: str, to: str, found: list[bytes], row: _Row | None, report: Report
) -> None:
    """More copies than rows are explained by the ledger, and are all the same."""
    report.arrived += len(found)
    if row is None:
        report.unexplained.append(f"I2 {key} to {to}: a copy without a row")
        return
    more = len(found) - len(row.states)
    report.doubled += max(0, more)
    if more > row.ambiguous:
        why = f"{len(found)} copies, {row.ambiguous} ambiguous"
        report.unexplained.append(f"I3 {key} to {to}: {why}")
    if len(row.states) == 1 and len(set(found)) > 1:
        report.unexplained.append(f"I7 {key} to {to}: copies differ")
