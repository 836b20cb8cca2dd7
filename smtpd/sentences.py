"""What a verb says when it refuses, as a sentence on a page."""

from __future__ import annotations


def sentence(problem: Exception | str) -> str:
    """`the targets lead back` -> `The targets lead back.`; addresses keep their case."""
    text = str(problem).strip()
    first = text.partition(" ")[0]
    if not any(mark in first for mark in "@.->"):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
