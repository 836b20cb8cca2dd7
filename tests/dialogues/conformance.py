"""Writes docs/conformance.md from the dialogues and rows.toml.

.venv/bin/python -m tests.dialogues.conformance
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.dialogues.rows import ROOT, Row, Section, sections

PAGE = ROOT / "docs" / "conformance.md"
HEAD = """\
# Conformance

What we answer, case by case, by RFC 5321 and the RFCs around it. Every reply
stands in a dialogue that the tests replay over a socket against the listener
(`tests/dialogues/`); what is no reply is proved by the tests named. `*` stands
for any text. Written by `python -m tests.dialogues.conformance`; a test compares
it with what the dialogues say now.
"""
# Of a reply with many lines, so many are shown.
LINES = 16


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(section) for section in sections())])


def _section(section: Section) -> str:
    lines = [f"## {section.title}", "", "| | case | our answer | proof |"]
    lines += ["|---|---|---|---|", *map(_line, section.rows), ""]
    reasons = [f"- {row.row}: {row.differs}." for row in section.rows if row.differs]
    if reasons:
        lines += ["Where we differ, and why:", "", *reasons, ""]
    return "\n".join(lines)


def _line(row: Row) -> str:
    answers = [row.answer] if row.answer else []
    answers += dict.fromkeys(_reply(reply) for _, reply in row.dialogues)
    proof = "<br>".join(dict.fromkeys([*_dialogues(row), *map(_test, row.proof)]))
    mark = f"{row.row} \\*" if row.differs else row.row
    return f"| {mark} | {row.case} | {'<br>'.join(answers)} | {proof} |"


def _reply(reply: str) -> str:
    lines = reply.split("\n")
    shown = [f"`{line.replace('|', chr(92) + '|')}`" for line in lines[:LINES]]
    return "<br>".join(shown + (["..."] if len(lines) > LINES else []))


def _dialogues(row: Row) -> Iterator[str]:
    for script, _ in row.dialogues:
        yield f"[{script.path.stem}](../{script.path.relative_to(ROOT)})"


def _test(name: str) -> str:
    path, _, test = name.partition("::")
    return f"[{test}](../{path})"


if __name__ == "__main__":
    PAGE.write_text(page())
