"""Rows that are nearly alike, inserted by the columns in which they differ.

A recipient more costs the sender who waits a few values, not a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Model

from smtpd import gathering


class Columns:
    """How a model's rows go in of which only these columns differ.

    The others have their fields' defaults. Nobody learns the rows' keys.
    """

    def __init__(self, model: type[Model], *names: str) -> None:
        self._model = model
        self._names = names

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, their values in the order of the columns.

        Inside gather() those of several messages go by one statement.
        """
        if not rows:
            return
        if connection.vendor != "postgresql":
            self._insert_each(rows)
        elif not gathering.add_all(self.send, rows):
            self.send(rows)

    def send(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert them now, in one statement."""
        with connection.cursor() as cursor:
            cursor.execute(self._together, list(map(list, zip(*rows, strict=True))))

    def _insert_each(self, rows: Sequence[tuple[Any, ...]]) -> None:
        values = [
            [
                field.get_db_prep_save(value, connection)
                for field, value in zip(self._differing, row, strict=True)
            ]
            for row in rows
        ]
        marks = ", ".join(["%s"] * len(self._names))
        with connection.cursor() as cursor:
            cursor.executemany(f"{self._into} VALUES ({marks}{self._same})", values)

    @cached_property
    def _differing(self) -> list[Any]:
        return [self._model._meta.get_field(name) for name in self._names]

    @cached_property
    def _alike(self) -> list[Any]:
        """What is the same in all rows; a null needs no word."""
        fields = self._model._meta.local_concrete_fields
        others = [each for each in fields if each not in self._differing]
        return [each for each in others if each.get_default() is not None]

    @cached_property
    def _into(self) -> str:
        return gathering.into(self._model, [*self._differing, *self._alike])

    @cached_property
    def _same(self) -> str:
        """Their values as SQL has them: numbers and words of our own."""
        values = [each.get_default() for each in self._alike]
        assert all(isinstance(value, int | str) for value in values)
        return "".join(f", {_literal(value)}" for value in values)

    @cached_property
    def _together(self) -> str:
        """An array for each column. A type without its length: a cast would cut."""
        kinds = (each.db_type(connection).partition("(")[0] for each in self._differing)
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        values = f"new.*{self._same} FROM unnest({arrays}) AS new"
        return f"{self._into} SELECT {values}"


def _literal(value: int | str) -> str:
    return f"'{value}'" if isinstance(value, str) else str(int(value))
