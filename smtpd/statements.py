"""Queries and inserts of the hot path, put into SQL once and run many times.

While a sender waits, the ORM spends more on wording a statement than the
database on answering it. The words are still the ORM's and the models': only
the wording is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, Error, connection, connections
from django.db.models import Model, QuerySet
from django.db.models.base import ModelState

from smtpd import gathering, pieces

M = TypeVar("M", bound=Model)


Value = str | int | Collection[str] | Collection[int]


class Prepared(Generic[M]):
    """A query with slots: called with what goes there, it returns the rows.

    `build` gets one value for each of `types`, a list for a set, and puts it
    into filters that compare with it as it stands (exact, in). Anything else in
    the query is fixed when it is used first: no clock, no patterns.
    """

    def __init__(
        self,
        build: Callable[..., QuerySet[M, Any]],
        *types: type[str] | type[int] | type[set[str]] | type[set[int]],
        related: Sequence[str] = (),
        without: Collection[str] = (),
        is_settled: bool = False,
    ) -> None:
        self._build = build
        self._types = types
        # Its answer does not depend on rows that are still being gathered.
        self._is_settled = is_settled
        # Foreign keys to bring along, `address` before `address__domain`.
        self._related = related
        # Columns to leave out: `raw`, or `message__raw` of a related one.
        self._without = without
        self._worded: dict[tuple[int, ...], _Worded] = {}

    def __call__(self, *values: Value) -> list[M]:
        """Run it; the rows as models."""
        return [self._made(row) for row in self.rows(*values)]

    def first(self, *values: Value) -> M | None:
        """Run it and return the first row, if there is one."""
        return next(iter(self(*values)), None)

    def annotated(self, *values: Value) -> list[tuple[M, tuple[Any, ...]]]:
        """Run it; the rows as models, each with the query's annotations."""
        width = len(self._names)
        return [(self._made(row), row[width:]) for row in self.rows(*values)]

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """Run it; the rows as tuples, for a query that asks for values."""
        if any(not isinstance(value, str | int) and not value for value in values):
            return []
        worded, params = self._filled(values)
        rows: list[tuple[Any, ...]]
        with gathering.passing(self._is_settled), connection.cursor() as cursor:
            cursor.execute(worded.sql, params)
            rows = cursor.fetchall()
        return worded.converted(rows)

    def sql(self, *values: Value) -> tuple[str, list[Any]]:
        """Its words and parameters, to stand in another statement."""
        worded, params = self._filled(values)
        return worded.sql, params

    def _filled(self, values: Sequence[Value]) -> tuple[_Worded, list[Any]]:
        filled = [
            value if isinstance(value, str | int) else _padded(value)
            for value in values
        ]
        worded = self._word(filled)
        params = [
            fixed if slot is None else slot.of(filled) for slot, fixed in worded.slots
        ]
        return worded, params

    def _word(self, values: Sequence[Any]) -> _Worded:
        sizes = tuple(len(v) if isinstance(v, list) else 0 for v in values)
        if sizes not in self._worded:
            self._worded[sizes] = self._compile(sizes)
        return self._worded[sizes]

    def _compile(self, sizes: Sequence[int]) -> _Worded:
        slots: dict[Any, _Slot] = {}
        examples: list[Any] = []
        for number, (kind, size) in enumerate(zip(self._types, sizes, strict=True)):
            of = _example(kind)
            if kind in (str, int):
                examples.append(of(number, 0))
                slots[examples[-1]] = _Slot(number)
            else:
                examples.append([of(number, at) for at in range(size)])
                slots |= {e: _Slot(number, at) for at, e in enumerate(examples[-1])}
        queryset: Any = self._build(*examples)
        # Else it says itself which values it wants.
        if queryset._fields is None:
            queryset = queryset.values_list(*self._names, *queryset.query.annotations)
        compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        selected = [column for column, *_ in compiler.select]
        return _Worded(
            sql,
            [(slots.get(param), param) for param in params],
            compiler,
            compiler.get_converters(selected),
        )

    @cached_property
    def _shape(self) -> list[tuple[str, type[Model], list[str]]]:
        """For each model in a row: how it is reached, itself, its columns."""
        examples: list[Any] = [kind() for kind in self._types]
        model: type[Model] = self._build(*examples).model
        shape = [("", model, self._wanted("", model))]
        for path in self._related:
            found: Any = model
            for name in path.split("__"):
                found = found._meta.get_field(name).related_model
            shape.append((path, found, self._wanted(path, found)))
        return shape

    def _wanted(self, path: str, model: type[Model]) -> list[str]:
        names = {name: _at(path, name) for name in columns(model)}
        return [name for name, whole in names.items() if whole not in self._without]

    @cached_property
    def _names(self) -> list[str]:
        return [_at(path, name) for path, _, names in self._shape for name in names]

    def _made(self, row: Sequence[Any]) -> M:
        made: dict[str, Any] = {}
        at = 0
        for path, model, names in self._shape:
            values = row[at : at + len(names)]
            at += len(names)
            # A foreign key may lead nowhere; the primary key comes first.
            is_there = not path or values[0] is not None
            made[path] = made_of(model, names, values) if is_there else None
            if path:
                owner, _, name = path.rpartition("__")
                setattr(made[owner], name, made[path])
        found: M = made[""]
        return found


@dataclass(frozen=True, slots=True)
class _Slot:
    """Which value goes into a parameter, and which of a list."""

    number: int
    at: int | None = None

    def of(self, values: Sequence[Any]) -> Any:
        value = values[self.number]
        return value if self.at is None else value[self.at]


@dataclass(frozen=True, slots=True)
class _Worded:
    """A query in SQL, and what each of its parameters is."""

    sql: str
    slots: list[tuple[_Slot | None, Any]]
    compiler: Any
    converters: Any

    def converted(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """As the fields want them: a database may have no true and false."""
        if not self.converters:
            return rows
        found = self.compiler.apply_converters(rows, self.converters)
        return [tuple(row) for row in found]


def _at(path: str, name: str) -> str:
    return f"{path}__{name}" if path else name


def _example(kind: type[Any]) -> Callable[[int, int], str | int]:
    """Values for slots that nobody else would write."""
    if kind in (int, set[int]):
        return lambda number, at: (1 << 40) + (number << 20) + at
    return lambda number, at: f"\1{number} {at}"


def _padded(values: Collection[str] | Collection[int]) -> list[str | int]:
    """The values, the last one repeated up to a power of four: few wordings."""
    found: list[str | int] = list(values)
    size = 1
    while size < len(found):
        size *= 4
    return found + found[-1:] * (size - len(found))


def insert(row: Model, *, unless_known: bool = False) -> bool:
    """Insert a new row and give it its key; inside gather() with others.

    With unless_known, a row that breaks a unique constraint changes nothing,
    and the answer is False.
    """
    large = pieces.large_fields(row)
    if not large and gathering.add(row):
        return True
    sql, fields = _insertion(type(row), unless_known, large)
    wrapper = connections[DEFAULT_DB_ALIAS]
    values = [
        field.attname
        if field.attname in large
        else gathering.value(field, row, wrapper)
        for field in fields
    ]
    with connection.cursor() as cursor:
        for name in large:
            pieces.send(cursor, name, getattr(row, name))
        cursor.execute(sql, values)
        found = cursor.fetchone()
    if found is None:
        return False
    gathering.keyed(row, found[0])
    return True


@lru_cache
def _insertion(
    model: type[Model], unless_known: bool, large: frozenset[str]
) -> tuple[str, list[Any]]:
    meta = model._meta
    fields = [field for field in meta.local_concrete_fields if not field.primary_key]
    marks = ", ".join(
        pieces.EXPRESSION if field.attname in large else "%s" for field in fields
    )
    conflict = "ON CONFLICT DO NOTHING " if unless_known else ""
    assert meta.pk is not None
    key = connection.ops.quote_name(str(meta.pk.column))
    into = gathering.into(model, fields)
    return f"{into} VALUES ({marks}) {conflict}RETURNING {key}", fields


_HINTS = """
SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)
"""


class Hints:
    """What a connection of the hot paths is told once.

    An index is used wherever there is one, and nothing is compiled. Statements
    are planned once: on a young site, when a whole table is quicker to read than
    its index, and it is not young for long. One that has no index seems so dear
    then that it would be compiled, for 300 ms.
    """

    def __init__(self) -> None:
        self._told: object = None

    def open(self) -> None:
        """Open a connection and tell it; one that cannot be had shows later."""
        with suppress(Error):
            connection.ensure_connection()
        self.tell()

    def tell(self) -> None:
        """Tell the one that is open. Behind work: it is not worth a failure."""
        found = connection.connection
        if found is None or found is self._told or connection.vendor != "postgresql":
            return
        self._told = found
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(_HINTS)


def made_of(model: type[M], names: Sequence[str], values: Sequence[Any]) -> M:
    """A row that was read, as from_db() makes it; what is not named is read when asked.

    Four times as fast: our models have no signals and no constructor of their own.
    """
    row = model.__new__(model)
    state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    row.__dict__.update(zip(names, values, strict=True), _state=state)
    return row


def columns(model: type[Model]) -> list[str]:
    """The names of what a row of it is made of, in their order."""
    return [str(field.attname) for field in model._meta.concrete_fields]
