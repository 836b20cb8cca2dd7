"""`manage.py trace MESSAGE-ID|KEY [--json]`"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from smtpd import progress
from smtpd.models import Delivery, Message
from smtpd.traces import Trace, find, read_trace


class Command(BaseCommand):
    help = "Tell what happened to a message: each step, and each recipient's reply."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("message", help="its Message-ID, or the key we gave it")
        parser.add_argument("--json", action="store_true", help="one JSON array")

    def handle(self, *args: Any, **options: Any) -> None:
        messages = find(options["message"])
        if not messages:
            raise CommandError(f"there is no message {options['message']}")
        traces = [read_trace(message) for message in messages]
        if options["json"]:
            stories = [_story(trace) for trace in traces]
            self.stdout.write(json.dumps(stories, indent=1))
            return
        for line in (line for trace in traces for line in _text(trace)):
            self.stdout.write(line)


def _text(trace: Trace) -> Iterator[str]:
    message = trace.message
    yield f"{message.key} {message.msg_id} {message.subject}".rstrip()
    for event in trace.timeline:
        yield f"  {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<10} {event.text}"
    told = progress.read(message)
    if told.total:
        yield f"  {told}" + (f"; {told.times}" if told.times else "")
    for row in trace.deliveries.iterator(chunk_size=500):
        said = " ".join(filter(None, (str(row.code or ""), row.enhanced, row.text)))
        at = f"{row.updated_at:%Y-%m-%d %H:%M:%S}"
        yield f"  {at}  {row.state:<10} {row.address} {said}".rstrip()


def _story(trace: Trace) -> dict[str, object]:
    message = trace.message
    return {
        "key": message.key,
        "message_id": message.msg_id,
        "subject": message.subject,
        "received_at": message.received_at.isoformat(),
        "reverse_path": message.reverse_path,
        "forward_paths": message.forward_paths,
        "states": trace.states,
        "progress": _progress(message),
        "events": [
            {"at": event.at.isoformat(), "kind": event.kind, "text": event.text}
            for event in trace.timeline
        ],
        "deliveries": [
            _delivery(row) for row in trace.deliveries.iterator(chunk_size=500)
        ],
    }


def _progress(message: Message) -> dict[str, object]:
    told = progress.read(message)
    return {
        "rate": told.rate,
        "first_after": _seconds(told.first_after),
        "last_after": _seconds(told.last_after),
    }


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


def _delivery(row: Delivery) -> dict[str, object]:
    return {
        "address": row.address,
        "state": row.state,
        "attempts": row.attempts,
        "ambiguous": row.ambiguous,
        "code": row.code,
        "enhanced": row.enhanced,
        "text": row.text,
        "host": row.host,
        "next_attempt_at": row.due_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
