"""Large octets on their way to PostgreSQL, a piece at a time.

The client library holds a second copy of all that one statement carries, and
keeps that much memory for as long as its connection lives. Pieces wait in a
table of the session until the statement that wants them puts them together.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import BinaryField, Model

# What goes in pieces, and how large they are.
LARGE = 1_048_576
PIECE = 262_144

# What was left by a transaction that is over is gone; IF NOT EXISTS, because a
# session has many of them.
_TABLE = """
CREATE TEMPORARY TABLE IF NOT EXISTS smtpd_piece
(of text, number integer, octets bytea) ON COMMIT DELETE ROWS
"""
_TYPES = ("text", "int4", "bytea")
# The whole of them; its parameter is the name.
EXPRESSION = (
    "(SELECT string_agg(octets, ''::bytea ORDER BY number)"
    " FROM smtpd_piece WHERE of = %s)"
)


def large_fields(row: Model) -> frozenset[str]:
    """Names of the fields whose octets go in pieces."""
    if connection.vendor != "postgresql":
        return frozenset()
    names = _binary_fields(type(row))
    return frozenset(name for name in names if len(getattr(row, name)) > LARGE)


@lru_cache
def _binary_fields(model: type[Model]) -> list[str]:
    fields = model._meta.local_concrete_fields
    return [
        field.attname
        for field in fields
        if isinstance(field, BinaryField) and not field.null
    ]


def send(cursor: Any, name: str, octets: bytes) -> None:
    """Bring them to the server, for a statement in the same transaction."""
    cursor.execute(_TABLE)
    cursor.execute("DELETE FROM smtpd_piece WHERE of = %s", [name])
    with cursor.copy("COPY smtpd_piece FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_TYPES)
        for number, at in enumerate(range(0, len(octets), PIECE)):
            copy.write_row((name, number, octets[at : at + PIECE]))
