"""No page waits for a statement longer than a person would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction

# SQLite asks after so many of its steps: a millisecond or so.
_STEPS = 100_000


class TooLong(Exception):
    """The database was told to stop looking."""


@contextmanager
def at_most(seconds: float, *, by_index: bool = False) -> Iterator[None]:
    """Stop a statement that takes longer, with TooLong; nothing here may write.

    With by_index PostgreSQL reads no table from end to end: a few waiting rows
    behind millions that are sent look to it as if they were everywhere.
    """
    try:
        if connection.vendor == "postgresql":
            with transaction.atomic(), _told(seconds, by_index=by_index):
                yield
        else:
            with _interrupted(seconds):
                yield
    except OperationalError as error:
        if _is_stopped(error):
            raise TooLong from error
        raise


@contextmanager
def _told(seconds: float, *, by_index: bool) -> Iterator[None]:
    words = {
        "statement_timeout": str(max(1, round(seconds * 1000))),
        # To compile a statement takes longer than it may.
        "jit": "off",
        **({"enable_seqscan": "off"} if by_index else {}),
    }
    before = _set(words)
    yield
    # After an error they go with the transaction or the savepoint.
    _set(before)


def _set(words: dict[str, str]) -> dict[str, str]:
    """Set them for this transaction; return what they were."""
    names = list(words)
    before = ", ".join("current_setting(%s)" for _ in names)
    now = ", ".join("set_config(%s, %s, true)" for _ in names)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {before}", names)
        found = cursor.fetchone()
        cursor.execute(
            f"SELECT {now}", [part for pair in words.items() for part in pair]
        )
    return dict(zip(names, found, strict=True))


@contextmanager
def _interrupted(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    raw: Any = connection.connection
    end = time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _is_stopped(error: OperationalError) -> bool:
    """By our word, and not by trouble of the database's own."""
    cause = error.__cause__
    # 57014 is query_canceled; SQLite has no number here.
    return getattr(cause, "sqlstate", "") == "57014" or str(cause) == "interrupted"
