"""Reads a dialogue: what client and server say, in order. Pure.

# text          a remark
C: text         the client says a line
C! text         the client says octets, with the escapes of Python, no CRLF
S: text         the server says a line; * stands for any text
S~ pattern      the server says a line, by a regular expression
S: (closed)     the server has closed the connection
-- row 3.11     the next reply is the proof of this row
-- times 100    what stands up to `-- end`, so often; {n} counts from 1
-- word ...     something happens: the verbs of play.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
CLOSED = "(closed)"
# What we write instead of saying it.
WRITTEN = re.compile(r"(received|report) ")
_LINE = re.compile(r"(C:|C!|S:|S~|--) ?(.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a dialogue, and where it stands."""

    place: str
    mark: str
    text: str

    @property
    def octets(self) -> bytes:
        """What the client sends."""
        if self.mark == "C:":
            return self.text.encode() + b"\r\n"
        escaped = self.text.encode("ascii").decode("unicode_escape")
        return escaped.encode("latin-1")

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the server may say."""
        return re.compile(self.text) if self.mark == "S~" else stars(self.text)

    @property
    def is_proof(self) -> bool:
        """Whether it says what we answer or write."""
        is_written = self.text.startswith(("received ", "report ", "stored "))
        return self.mark in ("S:", "S~") or (self.mark == "--" and is_written)

    @property
    def ends_reply(self) -> bool:
        """Whether it is the last line of a reply (RFC 5321 4.2.1)."""
        return self.text[3:4] != "-"


@dataclass(frozen=True, slots=True)
class Script:
    """One dialogue."""

    path: Path
    steps: tuple[Step, ...]

    def replies(self) -> Iterator[tuple[str, str]]:
        """Each row it proves, with the reply that is the proof."""
        waiting: list[str] = []
        lines: list[str] = []
        for step in self.steps:
            if step.mark == "--" and step.text.startswith("row "):
                waiting += step.text.split()[1:]
            elif waiting and step.is_proof:
                lines.append(WRITTEN.sub("", step.text, count=1))
                if step.ends_reply:
                    yield from ((row, "\n".join(lines)) for row in waiting)
                    waiting, lines = [], []
        assert not waiting, f"{self.path.name}: no reply for row {waiting}"


def stars(text: str) -> re.Pattern[str]:
    """The text, with * for any."""
    return re.compile(".*".join(map(re.escape, text.split("*"))))


def scripts() -> list[Script]:
    """All dialogues, in the order of their names."""
    files = sorted(FOLDER.glob("*.txt"), key=lambda path: path.stem)
    return [read(path) for path in files]


def read(path: Path) -> Script:
    """Read one file; what is no line of a dialogue is an AssertionError."""
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    return Script(path, tuple(_steps(path.name, lines)))


def _steps(name: str, lines: Iterator[tuple[int, str]]) -> Iterator[Step]:
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        assert found, f"{name}:{number}: {line}"
        step = Step(f"{name}:{number}: {line}", found[1], found[2])
        if line == "-- end":
            return
        if line.startswith("-- times "):
            inner = list(_steps(name, lines))
            yield from _repeated(inner, int(line.split()[2]))
        else:
            yield step


def _repeated(steps: list[Step], times: int) -> Iterator[Step]:
    for number in range(1, times + 1):
        for step in steps:
            yield Step(step.place, step.mark, step.text.replace("{n}", str(number)))
