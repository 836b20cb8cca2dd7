"""`manage.py mailq [--json]`"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.timesince import timesince

from smtpd.backlog import Backlog, read_backlog


class Command(BaseCommand):
    help = "Show what waits to be sent: by destination, how many, how long and why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array")

    def handle(self, *args: Any, **options: Any) -> None:
        backlogs = read_backlog()
        if options["json"]:
            rows = [{**asdict(backlog), "count": backlog.count} for backlog in backlogs]
            self.stdout.write(json.dumps(rows, default=datetime.isoformat, indent=1))
            return
        for line in (line for backlog in backlogs for line in _text(backlog)):
            self.stdout.write(line)
        self.stdout.write(f"{sum(backlog.count for backlog in backlogs)} waiting")


def _text(backlog: Backlog) -> Iterator[str]:
    states = ", ".join(f"{count} {state}" for state, count in backlog.states.items())
    age = timesince(backlog.oldest_at) if backlog.oldest_at else ""
    yield f"{backlog.destination}: {states}; the oldest for {age}"
    if backlog.backoff_until and backlog.backoff_until > timezone.now():
        until = f"{backlog.backoff_until:%Y-%m-%d %H:%M:%S}"
        yield f"  left alone until {until}: {backlog.last_failure}"
    if backlog.next_attempt_at:
        yield f"  next attempt {backlog.next_attempt_at:%Y-%m-%d %H:%M:%S}"
    for reason in backlog.reasons:
        yield f"  {reason.count} x {reason.reply}"
