"""Rows of several messages, inserted by one statement for each kind of row.

Messages that are stored together share a commit (listener.writers); here they
share the statements too. Whoever inserts a row has its key at once and need not
know. Any other statement finds the rows where it expects them: they are sent
before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model

# Rows of one statement.
AT_ONCE = 50

# Inserts rows, given as their values.
_Send = Callable[[Sequence[tuple[Any, ...]]], None]


class _Batch:
    """Rows that have their keys and are not in the database yet."""

    def __init__(self, size: int) -> None:
        self._size = size
        # What stands behind the proxy, which is asked often.
        self._wrapper: Any = connections[DEFAULT_DB_ALIAS]
        self._rows: dict[type[Model], list[Model]] = {}
        self._others: dict[_Send, list[tuple[Any, ...]]] = {}
        self._numbers: dict[type[Model], list[int]] = {}
        # Whether a statement may go before the rows.
        self.passes = False

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        """Around every statement of the connection."""
        if (self._rows or self._others) and not self.passes:
            self.send()
        return execute(sql, params, many, context)

    def add(self, row: Model) -> None:
        """Give a row its key and keep it."""
        model = type(row)
        numbers = self._numbers.setdefault(model, [])
        if not numbers:
            with passing(True):
                numbers += _fresh_numbers(model, self._size)[::-1]
        keyed(row, numbers.pop())
        self._rows.setdefault(model, []).append(row)

    def add_all(self, send: _Send, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep values that are sent with others like them."""
        self._others.setdefault(send, []).extend(rows)

    def send(self) -> None:
        """Insert what has gathered, in the order of coming."""
        rows, self._rows = self._rows, {}
        others, self._others = self._others, {}
        for model, some in rows.items():
            for at in range(0, len(some), AT_ONCE):
                self._insert(model, some[at : at + AT_ONCE])
        for send, values in others.items():
            send(values)

    def _insert(self, model: type[Model], rows: Sequence[Model]) -> None:
        fields = model._meta.local_concrete_fields
        values = [value(field, row, self._wrapper) for row in rows for field in fields]
        # Its own words for a place: psycopg would look for others in all the
        # text, each time, and that takes as long as the statement.
        raw = self._wrapper.Database.RawCursor(self._wrapper.connection)
        with self._wrapper.wrap_database_errors, raw as cursor:
            cursor.execute(_insertion(model, len(rows)), values)


class _Here(threading.local):
    batch: _Batch | None = None


_here = _Here()


@contextmanager
def gather(size: int) -> Iterator[None]:
    """Gather what is inserted in here, about `size` rows of a kind.

    Inside a transaction, which must be given up when this raises: a row that
    breaks a constraint shows at the end. Only PostgreSQL gives out keys in
    advance; elsewhere it does nothing.
    """
    if connection.vendor != "postgresql":
        yield
        return
    _here.batch = batch = _Batch(size)
    try:
        with connection.execute_wrapper(batch):
            yield
            batch.send()
    finally:
        _here.batch = None


def add(row: Model) -> bool:
    """Let it be inserted with others; False when nobody gathers."""
    if _here.batch is None:
        return False
    _here.batch.add(row)
    return True


def add_all(send: _Send, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Let values be sent with others, behind the rows; False: nobody gathers."""
    if _here.batch is None:
        return False
    _here.batch.add_all(send, rows)
    return True


@contextmanager
def passing(may: bool) -> Iterator[None]:
    """Run a statement before the rows that wait, if it may."""
    batch = _here.batch
    if batch is None or not may:
        yield
        return
    batch.passes = True
    try:
        yield
    finally:
        batch.passes = False


def keyed(row: Model, key: int) -> None:
    """Make it a row that is in the database."""
    row.pk = key
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS


def value(field: Any, row: Model, wrapper: Any) -> Any:
    """What goes into a column of a new row."""
    return field.get_db_prep_save(field.pre_save(row, True), wrapper)


def into(model: type[Model], fields: Sequence[Any]) -> str:
    """The first words of a statement that inserts."""
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(field.column)) for field in fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({names})"


@lru_cache
def _insertion(model: type[Model], count: int) -> bytes:
    fields = model._meta.local_concrete_fields
    width = len(fields)
    rows = (
        ", ".join(f"${number}" for number in range(first, first + width))
        for first in range(1, count * width + 1, width)
    )
    return f"{into(model, fields)} VALUES ({'), ('.join(rows)})".encode()


def _fresh_numbers(model: type[Model], count: int) -> list[int]:
    with connection.cursor() as cursor:
        sequence = _sequence(model)
        cursor.execute(
            "SELECT nextval(%s::regclass) FROM generate_series(1, %s)",
            [sequence, count],
        )
        return [row[0] for row in cursor.fetchall()]


@lru_cache
def _sequence(model: type[Model]) -> str:
    meta = model._meta
    assert meta.pk is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_serial_sequence(%s, %s)",
            [connection.ops.quote_name(meta.db_table), meta.pk.column],
        )
        found: str = cursor.fetchone()[0]
    return found
