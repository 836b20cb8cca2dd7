"""`manage.py addlist ADDRESS`: found a list."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from lists.actions import create_list

BOOLEANS = {
    **dict.fromkeys(("yes", "on", "true"), "True"),
    **dict.fromkeys(("no", "off", "false"), "False"),
}


class Command(BaseCommand):
    help = "Found a list at an address of a hosted domain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address")
        parser.add_argument("--owner", default="", metavar="E", help="first owner")
        parser.add_argument("--name", default="", metavar="N")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="K=V",
            help="a setting, such as posters=owners; may be given often",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        settings = dict(_setting(text) for text in options["set"])
        try:
            mlist = create_list(
                options["address"],
                options["name"] or settings.pop("name", ""),
                owner=options["owner"],
                **settings,
            )
        except ValidationError as error:
            raise CommandError("; ".join(sentences(error))) from error
        self.stdout.write(f"{mlist.posting_address} created")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name.strip() in ("address", "owner"):
        raise CommandError(f"--set {text}: expected a setting, K=V")
    return name.strip(), BOOLEANS.get(value.strip().lower(), value)


def sentences(error: ValidationError) -> list[str]:
    """What is wrong, each with the setting it is about."""
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [
        f"{name}: {message}"
        for name, messages in error.message_dict.items()
        for message in messages
    ]
