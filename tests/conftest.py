"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from smtpd import backlog
from tests.dns import Dns
from tests.stack import Stack, start_stack


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often ./run faults has each row."""
    parser.addoption("--seeds", type=int, default=20, help="storms of each fault row")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A row of tests/faults: seeds for ./run faults, a short one for ./run test.

    The short ones are those marked `brief`; they have the seed 0.
    """
    if "seed" not in metafunc.fixturenames:
        return
    seeds = range(1, metafunc.config.getoption("seeds") + 1)
    rows = [pytest.param(seed, marks=pytest.mark.faults) for seed in seeds]
    if metafunc.definition.get_closest_marker("brief"):
        rows.insert(0, pytest.param(0, marks=pytest.mark.e2e))
    metafunc.parametrize("seed", rows)


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    """Rate limits and numbers of one test must not hit the next."""
    cache.clear()
    backlog.forget()


@pytest.fixture
def dns(settings: Settings) -> Iterator[Dns]:
    """A DNS server of ours, which the site asks."""
    with Dns() as server:
        settings.DNS_SERVER = server.address
        yield server


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
