"""Found lists with their members, in a site's environment.

echo '{"talk@lists.localhost": ["sam@example.org"]}' | python -m bench.founding
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

import django
from django.db import transaction

CHUNK = 5000


def found(address: str, people: list[str]) -> None:
    """A list that anybody may post to; nobody is asked."""
    mlist = import_module("lists.actions").create_list(
        address, address.partition("@")[0], posters="anyone"
    )
    rows = import_module("lists.subscriptions.rows")
    imports = import_module("lists.subscriptions.imports")
    for start in range(0, len(people), CHUNK):
        chunk = people[start : start + CHUNK]
        read = [rows.read(line, number) for number, line in enumerate(chunk)]
        with transaction.atomic():
            imports.add_members(mlist, [one for some, _ in read for one in some])
            imports.count_as_it_grows(start, start + len(chunk))


if __name__ == "__main__":
    django.setup()
    for address, people in json.load(sys.stdin).items():
        found(address, people)
