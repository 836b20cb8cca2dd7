"""`manage.py explain ADDRESS`"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from smtpd import routing
from smtpd.paths import BadPath
from smtpd.replies import Reply
from smtpd.routing import Route


class Command(BaseCommand):
    help = "Say where mail to ADDRESS would go now, step by step, and the reply."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found, steps = routing.explain(options["address"])
        except BadPath as problem:
            raise CommandError(str(problem.reply)) from None
        for number, step in enumerate(steps, start=1):
            self.stdout.write(f"{number}. {step.text}")
        if isinstance(found, Reply):
            self.stdout.write(str(found))
            return
        for line in _ways(found, indent=""):
            self.stdout.write(line)
        self.stdout.write(str(found.reply))


def _ways(route: Route, indent: str) -> Iterator[str]:
    """A route and all it leads to, one line each."""
    yield f"{indent}{route.forward_path}: {route.kind} ({route.door})"
    for recipient in route.recipients:
        yield f"{indent}  -> {recipient}"
    for onward in route.onward:
        yield from _ways(onward, f"{indent}  ")
