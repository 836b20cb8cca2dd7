"""Every environment variable is on the page about settings, and no other."""

import re
from pathlib import Path

from django.conf import settings

DOCS = Path(settings.BASE_DIR) / "docs" / "settings.md"
SOURCE = Path(settings.BASE_DIR) / "project" / "settings.py"


def test_page_and_code_name_the_same() -> None:
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', SOURCE.read_text()))
    rows = [line.split("|")[1] for line in DOCS.read_text().splitlines() if "|" in line]
    told = set(re.findall(r"`([A-Z_]+)`", " ".join(rows)))
    assert read == told
