"""`manage.py addalias ADDRESS TARGET...`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aliases.actions import Refused, create


class Command(BaseCommand):
    help = "Make an alias: mail to ADDRESS goes on to each TARGET, unchanged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address")
        parser.add_argument("targets", nargs="+", metavar="target")
        parser.add_argument("--description", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            alias = create(
                options["address"], options["targets"], options["description"]
            )
        except Refused as problem:
            raise CommandError(" ".join(problem.messages)) from None
        count = alias.targets.count()
        noun = "target" if count == 1 else "targets"
        self.stdout.write(f"{alias}: {count} {noun}")
