"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.stack import Stack, start_stack


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    """Rate limits of one test must not hit the next."""
    cache.clear()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The real product in its own processes, on its own database and ports.

    One for all stories of a file: starting it takes longer than they do.
    """
    with start_stack() as running:
        yield running


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, object],
) -> dict[str, object]:
    """Debian's Chromium, kept from calling home."""
    return {
        **browser_type_launch_args,
        "executable_path": "/usr/bin/chromium",
        "args": [
            "--no-sandbox",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ],
    }
