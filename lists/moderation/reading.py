"""The words of a held message that has only HTML. Pure but for Django's parser."""

from __future__ import annotations

import html
import re

from django.utils.html import strip_tags

# Where a reader sees the line end.
_BREAK = re.compile(
    r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b[^>]*>", re.IGNORECASE
)


def words(page: str) -> str:
    """What is left of clean HTML without its tags; still to be escaped."""
    text = html.unescape(strip_tags(_BREAK.sub("\n", page)))
    return "\n".join(line.strip() for line in text.splitlines()).strip()
