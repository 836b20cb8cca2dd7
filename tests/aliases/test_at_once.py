"""Saves that are harmless alone, made at the same time."""

from __future__ import annotations

import pytest

from aliases import actions
from aliases.actions import Refused
from aliases.book import Book
from aliases.expansion import expand
from tests.aliases.makers import SAM, make_domain
from tests.at_once import THREADS, at_once

pytestmark = pytest.mark.django_db(transaction=True)


def name(number: int) -> str:
    """Each on a domain of its own."""
    number %= THREADS
    return f"a{number}@d{number}.test"


@pytest.fixture(autouse=True)
def _domains() -> None:
    for number in range(THREADS):
        make_domain(f"d{number}.test")


def expands(mailbox: str) -> tuple[str, ...]:
    return expand(mailbox, Book(only_open=False).targets_of)


def test_changes_at_once_make_no_circle() -> None:
    aliases = [actions.create(name(number), [SAM]) for number in range(THREADS)]

    def lead_on(number: int) -> bool:
        try:
            actions.update(aliases[number], [name(number + 1)])
        except Refused:
            return False
        return True

    assert at_once(lead_on).count(False) == 1
    assert {expands(name(number)) for number in range(THREADS)} == {(SAM,)}


def test_new_aliases_at_once_make_no_circle() -> None:
    def lead_on(number: int) -> bool:
        try:
            actions.create(name(number), [name(number + 1)])
        except Refused:
            return False
        return True

    assert at_once(lead_on).count(False) == 1
    for number in range(THREADS):
        assert len(expands(name(number))) == 1
