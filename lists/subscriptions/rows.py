"""Members as people write them down: CSV, a pasted column, an address list.

Pure: a line of text in, addresses with names out; and out again without
formulas.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lists.subscriptions import addresses
from lists.subscriptions.addresses import BadAddress, PersonAddress
from smtpd import fields

MAX_LINE = 10_000
# First letters by which a spreadsheet takes a cell for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
GUARD = "'"
DELIMITERS = ("\t", ";", ",")
HEADINGS = frozenset(
    {"address", "email", "e-mail", "mail", "email address", "e-mail address"}
)


class Problem(NamedTuple):
    """A line that could not be read, as the import's page shows it."""

    number: int
    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """One person to add."""

    person: PersonAddress
    name: str


def lines(text: str) -> list[str]:
    """The lines of a file, without its byte order mark."""
    return text.removeprefix("\ufeff").splitlines()


def read(line: str, number: int) -> tuple[list[Row], list[Problem]]:
    """Read one line; empty lines, # comments and a heading give nothing."""
    line = line.strip()
    if not line or line.startswith("#") or (number == 1 and _is_heading(line)):
        return [], []
    if len(line) > MAX_LINE:
        return [], [Problem(number, line[:200], "the line is too long")]
    rows: list[Row] = []
    problems: list[Problem] = []
    for name, address in _people(line):
        try:
            rows.append(Row(addresses.read(address), addresses.one_line(name)))
        except BadAddress as error:
            problems.append(Problem(number, line[:200], str(error)))
    return rows, problems


def _is_heading(line: str) -> bool:
    return "@" not in line and any(
        cell.strip().lower() in HEADINGS for cell in _cells(line)
    )


def _people(line: str) -> list[tuple[str, str]]:
    """The (name, address) pairs of a line in any of the spellings we know."""
    if "<" in line:
        return fields.mailboxes(line.encode()) or [("", line)]
    cells = [_unguard(cell.strip()) for cell in _cells(line)]
    with_at = [cell for cell in cells if "@" in cell]
    if len(with_at) > 1 and len(with_at) == len([cell for cell in cells if cell]):
        return [("", cell) for cell in with_at]
    if not with_at:
        return [("", line)]
    names = [cell for cell in cells if cell and cell != with_at[0]]
    return [(" ".join(names[0].split()) if names else "", with_at[0])]


def _cells(line: str) -> list[str]:
    """The cells of a line, by the first delimiter of ours that it has.

    Only commas stand in names often; so they are asked last.
    """
    delimiter = next((mark for mark in DELIMITERS if mark in line), ",")
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return [line]


def _unguard(cell: str) -> str:
    return cell[1:] if cell.startswith(GUARD) and cell[1:].startswith(FORMULA) else cell


def safe_cells(cells: Iterable[str]) -> Iterator[str]:
    """Cells that no spreadsheet runs: a quote before what looks like a formula."""
    return (GUARD + cell if cell.startswith(FORMULA) else cell for cell in cells)
