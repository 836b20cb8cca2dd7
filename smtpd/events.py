"""The trace of a message, one line a step."""

from __future__ import annotations

from smtpd.models import Event, Message
from smtpd.statements import insert


def add_event(message: Message, kind: str, text: str) -> None:
    """Append one step, in the words of a person, to a message's trace."""
    insert(Event(message=message, kind=kind, text=text))
