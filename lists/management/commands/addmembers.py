"""`manage.py addmembers ADDRESS FILE|-`: put many people on a list."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from lists.models import MailingList
from lists.subscriptions import rows
from lists.subscriptions.imports import (
    CHUNK,
    add_members,
    count_anew,
    count_as_it_grows,
)
from smtpd.models import Address


class Command(BaseCommand):
    help = "Add members to a list, without asking them: CSV, or an address a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address")
        parser.add_argument("file", help="a file in UTF-8, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        mlist = _find(options["address"])
        lines = rows.lines(_read(options["file"]))
        added = present = bad = 0
        for start in range(0, len(lines), CHUNK):
            people = []
            for number, line in enumerate(lines[start : start + CHUNK], start + 1):
                found, problems = rows.read(line, number)
                people += found
                bad += len(problems)
                for problem in problems:
                    self.stderr.write(
                        f"line {problem.number}: {problem.why}: {problem.line}"
                    )
            with transaction.atomic():
                counts = add_members(mlist, people)
                count_as_it_grows(added, added + counts[0])
            added, present = added + counts[0], present + counts[1]
        count_anew(added)
        self.stdout.write(f"{added} added, {present} were on the list, {bad} refused")
        if bad:
            sys.exit(1)


def _find(address: str) -> MailingList:
    mlist = (
        MailingList.objects.select_related("address__domain")
        .filter(address__in=Address.objects.named(address))
        .first()
    )
    if mlist is None:
        raise CommandError(f"there is no list {address}")
    return mlist


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode()
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: not UTF-8") from error
