"""The rows of the conformance table, with what proves each of them."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.dialogues.script import FOLDER, Script, scripts

ROOT = FOLDER.parent.parent


@dataclass(frozen=True, slots=True)
class Row:
    """One case, our answer, and the proof."""

    row: str
    case: str
    answer: str = ""
    # Tests as `path::name`, from the root of the project.
    proof: Sequence[str] = ()
    differs: str = ""
    # What dialogues have for it: the file, and the reply.
    dialogues: list[tuple[Script, str]] = field(default_factory=list)

    @property
    def is_proved(self) -> bool:
        """Whether anything of it can fail."""
        return bool(self.dialogues or self.proof)


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under one heading."""

    title: str
    rows: Sequence[Row]


def sections() -> list[Section]:
    """All rows in their order, with the dialogues that name them."""
    said: dict[str, list[tuple[Script, str]]] = defaultdict(list)
    for script in scripts():
        for row, reply in script.replies():
            said[row].append((script, reply))
    with (FOLDER / "rows.toml").open("rb") as file:
        found = [_section(section, said) for section in tomllib.load(file)["section"]]
    assert not said, f"rows that are not in rows.toml: {sorted(said)}"
    return found


def _section(
    section: Mapping[str, object], said: dict[str, list[tuple[Script, str]]]
) -> Section:
    rows = section["row"]
    assert isinstance(rows, list)
    return Section(
        str(section["title"]),
        [Row(**row, dialogues=said.pop(row["row"], [])) for row in rows],
    )


def is_test(name: str) -> bool:
    """Whether `path::test` is a test of that file."""
    path, _, test = name.partition("::")
    return test.startswith("test_") and test in _functions(ROOT / path)


@cache
def _functions(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
