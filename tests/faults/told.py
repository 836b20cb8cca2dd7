"""What the site wrote by itself: reports and notices. Each of them once.

Two records are compared, the ledger's rows of mail from the site and the copies
that came from it, and what was to be told with what was told:

I1  A notice that was sent arrived. Whose mail failed was told so.
I3  Nobody reads the same news twice, unless the ledger owns up to a second copy.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes

from tests.sink import Received
from tests.stack import Stack

_MSG_ID = re.compile(rb"(?im)^Message-ID:[ \t]*(\S+)")
_ROWS = """
SELECT message.msg_id, delivery.address, delivery.state, delivery.ambiguous,
       message.raw
FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
JOIN smtpd_message AS message ON message.id = outgoing.message_id
WHERE message.source = 'site'
"""
# Mail that failed and that has a sender: who wrote it, and to which address.
_FAILED = """
FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
JOIN smtpd_message AS message ON message.id = outgoing.message_id
WHERE delivery.state = 'failed' AND message.source = 'smtp'
  AND outgoing.envelope = 'fixed' AND outgoing.reverse_path <> ''
"""
_WRITTEN_TO = """CASE WHEN outgoing.forward_path = '' THEN delivery.address
  ELSE outgoing.forward_path END"""
# How many of these nobody has looked at yet; a report is queued by then or not due.
UNTOLD = f"""
SELECT count(*) {_FAILED} AND NOT EXISTS (
  SELECT 1 FROM smtpd_report AS report
  WHERE report.message_id = message.id AND report.action = 'failed'
    AND report.address = {_WRITTEN_TO} AND report.settled_at IS NOT NULL)
"""
_OWED = f"""
SELECT DISTINCT message.msg_id, message.reverse_path, {_WRITTEN_TO} {_FAILED}
  AND NOT EXISTS (
    SELECT 1 FROM smtpd_event AS event WHERE event.message_id = message.id
      AND event.kind = 'returned' AND event.text LIKE '%the sender is not told%')
"""

# Who is told, and what: of a report the message, the address and its fate.
News = tuple[str, ...]


@dataclass
class Told:
    """What became of the site's own mail; `trouble` must be empty."""

    # Copies that arrived.
    arrived: int = 0
    # Second ones, and how many the ledger says there may be.
    doubled: int = 0
    ambiguous: int = 0
    # Reports and notices that were written, by what they tell.
    news: Counter[News] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)


def told(stack: Stack, copies: Iterable[Received]) -> Told:
    """Compare the copies from the site itself with its ledger, when all is quiet."""
    found = Told()
    got = Counter((_msg_id(copy), to) for copy in copies for to in copy.recipients)
    states: dict[tuple[str, str], list[str]] = defaultdict(list)
    doubts: Counter[tuple[str, str]] = Counter()
    for msg_id, address, state, ambiguous, raw in stack.rows(_ROWS):
        states[msg_id, address].append(state)
        doubts[msg_id, address] += ambiguous
        found.ambiguous += ambiguous
        found.news[(address, *news(bytes(raw)))] += 1
    found.trouble += _compare(states, doubts, got)
    found.arrived = got.total()
    found.doubled = sum(max(0, n - len(states[name])) for name, n in got.items())
    for what, count in found.news.items():
        if count > 1:
            found.trouble.append(f"I3 told {count} times: {what}")
    for msg_id, sender, address in stack.rows(_OWED):
        if (sender, "failed", msg_id, address) not in found.news:
            found.trouble.append(f"I1 {sender} was not told of {msg_id} to {address}")
    return found


def _compare(
    states: dict[tuple[str, str], list[str]],
    doubts: Counter[tuple[str, str]],
    got: Counter[tuple[str, str]],
) -> Iterator[str]:
    for name, ends in states.items():
        if "queued" in ends:
            yield f"I6 {name}: still waits"
        if "sent" in ends and not got[name]:
            yield f"I1 {name}: sent, and never arrived"
    for name, count in got.items():
        if name not in states:
            yield f"I2 {name}: nobody wrote that"
        elif count > len(states[name]) + doubts[name]:
            yield f"I3 {name}: {count} copies, {doubts[name]} ambiguous"


def news(raw: bytes) -> News:
    """What a report or a notice says, whenever and however often it is written."""
    message = message_from_bytes(raw)
    if message.get_content_type() == "multipart/report":
        # RFC 3464: first of the message, then of its recipient; ours names one.
        [told] = [part for part in message.walk() if part["Final-Recipient"]]
        address = str(told["Final-Recipient"]).partition("; ")[2]
        return str(told["Action"]), str(message["In-Reply-To"]), address
    return "notice", str(message["Subject"]), str(message.get_payload())


def _msg_id(copy: Received) -> str:
    head = copy.raw.partition(b"\r\n\r\n")[0]
    match = _MSG_ID.search(head)
    return str(match[1], "ascii") if match else f"none: {head[:300]!r}"
