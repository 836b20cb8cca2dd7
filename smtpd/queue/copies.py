"""From claimed rows to what is sent for them.

A message is compiled once a process and kept while it is in use; a copy is a
token, a join and, if signed, one operation of the key.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import BinaryField, Case, F, Func, QuerySet, When

from smtpd.dsn import NO_REQUEST, Request, orcpt_of
from smtpd.models import Outgoing
from smtpd.outbound.dkim import Signer
from smtpd.outbound.render import Compiled, Parts, Unsendable, compile_parts
from smtpd.outbound.transaction import Transaction
from smtpd.queue.ledger import Claimed
from smtpd.statements import Prepared
from smtpd.tokens import Purpose, make

logger = logging.getLogger(__name__)

# Octets of compiled messages to keep, beside the one in use; and how long a
# changed DKIM key may take to be used.
_CACHE_SIZE = 32 * 1024 * 1024
_CACHE_SECONDS = 600.0
_MOST_RECIPIENTS = 50
# Octets of a message whose body is read together with others.
_SMALL = 64 * 1024


@dataclass(slots=True)
class Job(Transaction):
    """A transaction, and the rows it is for."""

    rows: Sequence[Claimed] = ()
    # When the message was queued: too old is given up.
    queued_at: datetime | None = None
    # By the clock of the event loop: later than this the lease might run out.
    start_before: float = 0.0

    @property
    def is_fast(self) -> bool:
        """Whether somebody waits for it."""
        return self.rows[0].lane == Outgoing.Lane.FAST

    @property
    def is_suspect(self) -> bool:
        """Whether a worker died that had some of it."""
        return any(row.claims > 1 for row in self.rows)

    @property
    def destination(self) -> str:
        """Where it goes: the same for all its rows."""
        return self.rows[0].destination


@dataclass(frozen=True, slots=True)
class _Entry:
    outgoing: Outgoing
    compiled: Compiled
    request: Request
    made_at: float = field(default_factory=time.monotonic)


_BEHIND = Func(
    F("message__raw"),
    F("message__body_at") + 1,
    function="substr",
    output_field=BinaryField(),
)


def _found(numbers: Collection[int]) -> QuerySet[Outgoing]:
    """Each with the body of its message, if it has none itself and that is small."""
    is_small = When(body=None, message__size__lte=_SMALL, then=_BEHIND)
    rows = Outgoing.objects.filter(pk__in=numbers).order_by()
    return rows.annotate(small=Case(is_small, default=None))


def _bodies(number: int) -> QuerySet[Outgoing, Any]:
    return Outgoing.objects.filter(pk=number).order_by().values_list(_BEHIND)


_FOUND = Prepared(
    _found,
    set[int],
    related=("message", "dkim_domain"),
    without=("message__raw", "message__trace"),
)
# One at a time: a message may be large.
_BODY = Prepared(_bodies, int)


@dataclass(slots=True)
class Refused:
    """Rows whose message cannot be sent at all, and why."""

    rows: Sequence[Claimed]
    reason: str


class Copies:
    """The compiled messages of this process. Only one thread may use it."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._size = 0

    def jobs(self, rows: Sequence[Claimed]) -> Iterator[Job | Refused]:
        """What to send for rows that are sorted by message and destination."""
        wanted = dict.fromkeys(row.outgoing_id for row in rows)
        found = self._read(wanted)
        for (number, _), group in groupby(
            rows, attrgetter("outgoing_id", "destination")
        ):
            own = list(group)
            try:
                entry = self._entry(number, found)
            except ValueError as error:
                yield Refused(own, str(error))
            except (DatabaseError, InterfaceError):
                raise
            except Exception as error:
                # Of all messages only this one: the others must not wait for it.
                logger.exception("outgoing=%s state=broken", number)
                yield Refused(own, f"we failed: {error!r}")
            else:
                yield from _jobs(entry, own)
        self._shrink()

    def _read(self, numbers: Iterable[int]) -> dict[int, tuple[Outgoing, Any]]:
        """Those that are not kept, or for too long."""
        late = time.monotonic() - _CACHE_SECONDS
        for number in numbers:
            entry = self._entries.get(number)
            if entry is not None and entry.made_at < late:
                self._drop(number)
        missing = [number for number in numbers if number not in self._entries]
        return {row.pk: (row, small) for row, (small,) in _FOUND.annotated(missing)}

    def _entry(self, number: int, found: Mapping[int, tuple[Outgoing, Any]]) -> _Entry:
        entry = self._entries.get(number)
        if entry is None:
            entry = self._entries[number] = _compiled(*found[number])
            self._size += entry.compiled.size
        self._entries.move_to_end(number)
        return entry

    def _shrink(self) -> None:
        """Down to what may be kept; the last one in use always is."""
        while self._size > _CACHE_SIZE and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))

    def _drop(self, number: int) -> None:
        self._size -= self._entries.pop(number).compiled.size


def _compiled(outgoing: Outgoing, small: Any) -> _Entry:
    """Cut a message at its tokens. ValueError: it cannot be sent or signed."""
    body = small if outgoing.body is None else outgoing.body
    if body is None:
        body = _BODY.rows(outgoing.pk)[0][0]
    parts = Parts(
        bytes(outgoing.head),
        bytes(outgoing.copy_head),
        bytes(body),
        outgoing.body_splices,
    )
    domain, signer = outgoing.dkim_domain, None
    if domain is not None and domain.dkim_key:
        signer = Signer(domain.name, domain.dkim_selector, domain.dkim_key)
    now = int(time.time())
    # The cache must not keep the bytes a second time.
    outgoing.head = outgoing.copy_head = outgoing.body = b""
    compiled = compile_parts(parts, signer, signed_at=now)
    return _Entry(outgoing, compiled, _request(outgoing))


def _jobs(entry: _Entry, rows: Sequence[Claimed]) -> Iterator[Job]:
    """One transaction for up to 50 when the copies are alike, else one each."""
    outgoing, compiled = entry.outgoing, entry.compiled
    if outgoing.envelope == Outgoing.Envelope.FIXED and compiled.is_same_for_all:
        for some in _together(rows):
            yield _job(entry, some, outgoing.reverse_path, "")
        return
    is_verp = outgoing.envelope == Outgoing.Envelope.VERP
    for row in rows:
        token = "" if row.ref is None else make(Purpose.UNSUBSCRIBE, row.ref)
        reverse_path = outgoing.reverse_path
        if is_verp:
            bounce = make(Purpose.BOUNCE, row.id)
            reverse_path = f"bounces+{bounce}@{reverse_path}"
        yield _job(entry, (row,), reverse_path, token)


def _together(rows: Sequence[Claimed]) -> Iterator[Sequence[Claimed]]:
    """Who may share a transaction: nobody's plain address needs SMTPUTF8."""
    plain = [row for row in rows if row.address.isascii()]
    others = [row for row in rows if not row.address.isascii()]
    for kind in (plain, others):
        for at in range(0, len(kind), _MOST_RECIPIENTS):
            yield kind[at : at + _MOST_RECIPIENTS]


def _request(outgoing: Outgoing) -> Request:
    """RFC 3461 5.2.7: to its sender a post ends at the list.

    The address that the sender wrote to stands in a report, whatever was
    written when (5.2.1).
    """
    wish, written = outgoing.wish, outgoing.forward_path
    if outgoing.envelope != Outgoing.Envelope.FIXED:
        return NO_REQUEST
    if wish.notify and written and not wish.orcpt:
        wish = replace(wish, orcpt=orcpt_of(written))
    return Request(outgoing.message.ret, outgoing.message.envid, wish)


def _job(entry: _Entry, rows: Sequence[Claimed], reverse_path: str, token: str) -> Job:
    """The copy is put together and signed when the server wants it.

    By the thread that sends: another one would have to wait for the interpreter
    behind each signature, and sign for those whom the server refuses.
    """
    return Job(
        reverse_path,
        [row.address for row in rows],
        partial(entry.compiled.signed_copy, token),
        entry.compiled.size,
        entry.outgoing.needs_8bit,
        entry.outgoing.needs_utf8,
        entry.request,
        rows=rows,
        queued_at=entry.outgoing.created_at,
    )


__all__ = ["Copies", "Job", "Refused", "Unsendable"]
