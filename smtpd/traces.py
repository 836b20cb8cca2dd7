"""What became of a message: the one reader behind the page and the command.

For the web page: `find(name)` gives the messages a key or Message-ID names,
`read_trace(message)` their story. `trace.timeline` is short and whole;
`trace.page(number)` is one page of the ledger, at most PER_PAGE rows, so a
post to a hundred thousand is shown at the cost of a post to ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils import timezone

from smtpd import routing
from smtpd.models import Delivery, Event, Message
from smtpd.models.outgoing import TALLY

PER_PAGE = 50
# More than this with one Message-ID is somebody's joke.
MAX_FOUND = 20


@dataclass(frozen=True)
class Trace:
    """The steps of a message in order, and every recipient's latest reply."""

    message: Message
    timeline: list[Event]
    # How many deliveries there are in each state that occurs.
    states: dict[str, int]
    # In the order they were queued, their Outgoing beside them, without bytes.
    deliveries: QuerySet[Delivery]

    @property
    def is_finished(self) -> bool:
        """Whether no recipient waits any more."""
        waiting = {Delivery.State.QUEUED, Delivery.State.HELD}
        return waiting.isdisjoint(self.states)

    def page(self, number: int | str = 1, *, state: str = "") -> Page[Delivery]:
        """One page of the ledger; a number out of range gives the nearest page."""
        rows = self.deliveries.filter(state=state) if state else self.deliveries
        return Paginator(rows, PER_PAGE).get_page(number)


def find(name: str) -> list[Message]:
    """The messages with this key or Message-ID, the newest first.

    One Message-ID may have come several times: once for each transaction the
    sender's server made of it. Angle brackets may be left out.
    """
    name = name.strip()
    light = Message.objects.light()
    if by_key := light.filter(key=name.lower()).first():
        return [by_key]
    bare = name.removeprefix("<").removesuffix(">")
    return list(light.filter(msg_id__in=(bare, f"<{bare}>"))[:MAX_FOUND])


def read_trace(message: Message) -> Trace:
    """Read the story of one message; three statements, pages not counted."""
    deliveries = (
        Delivery.objects.filter(outgoing__message=message)
        .select_related("outgoing")
        .defer("outgoing__head", "outgoing__copy_head", "outgoing__body")
        .order_by("id")
    )
    return Trace(
        message=message,
        timeline=_timeline(message),
        states=_states(message),
        deliveries=deliveries,
    )


def _states(message: Message) -> dict[str, int]:
    """The rows that are kept, and what those said that are not."""
    states = Counter(Delivery.objects.filter(outgoing__message=message).by_state())
    for outgoing in message.outgoings.only(*TALLY):
        states.update(outgoing.pruned)
    return dict(states)


def _timeline(message: Message) -> list[Event]:
    """What the rows say, what the doors' rows say, and what was noted since."""
    told = [step for door in routing.doors().values() for step in door.story(message)]
    told += _pruned(message)
    noted = sorted([*told, *message.events.all()], key=lambda step: step.at)
    return [*_arrival(message), *noted]


def _pruned(message: Message) -> Iterator[Event]:
    """Where single recipients are no longer known."""
    outgoings = message.outgoings.exclude(pruned_at=None)
    for outgoing in outgoings.only("pruned_at", *TALLY):
        if not (outgoing.pruned and outgoing.pruned_at):
            continue
        counts = ", ".join(f"{n:,} {state}" for state, n in outgoing.pruned.items())
        text = f"Recipients are no longer kept: {counts}."
        if outgoing.first_sent_at and outgoing.last_sent_at:
            first = timezone.localtime(outgoing.first_sent_at)
            last = timezone.localtime(outgoing.last_sent_at)
            text += f" Sent from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}."
        yield Event(message=message, at=outgoing.pruned_at, kind="pruned", text=text)


def _arrival(message: Message) -> Iterator[Event]:
    """How it came to us: the row itself says it, no event does."""
    if message.source == Message.Source.SITE:
        return
    people = ", ".join(message.forward_paths)
    if message.source == Message.Source.WEB:
        text = f"Written on the web by {message.reverse_path} for {people}."
    else:
        text = f"From <{message.reverse_path}> for {people}, {_bringer(message)}."
    yield Event(message=message, at=message.received_at, kind="received", text=text)


def _bringer(message: Message) -> str:
    # RFC 3848: the A says that somebody logged in, whose account may be gone.
    if message.protocol.endswith("A"):
        who = message.submitter or "an account that is gone"
        return f"submitted by {who} with {message.protocol}"
    name, peer = message.helo or "nobody", message.peer or "local"
    return f"brought by {name} [{peer}] with {message.protocol}"
