"""What mail costs: arithmetic on round figures, and the page it fills."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from bench import cost, page
from bench.costing import Hardware, Measured, limits, per_million, volumes

# A copy that takes round figures.
COPY = Measured(
    machine="a machine",
    copies=1000,
    worker_ms=1.0,
    signing_ms=1.0,
    listener_ms=0.1,
    postgres_ms=0.4,
    redis_ms=0.5,
    wal=1000,
    stored=500,
    sent=4000,
    rows=3,
    transactions=0.1,
    commands=0.01,
    connections=4,
    max_connections=100,
)
HARDWARE = Hardware(
    disk=150e6, flushes=500, network=100e6, room=432e9, redis_commands=50_000
)
BLOCK = re.compile(r"<!-- figures: cost -->\n(.*?)<!-- end -->", re.DOTALL)


def rates(*, signed: bool) -> dict[str, float]:
    """At how many copies a second each thing is used up, by its first word."""
    return {
        limit.what.split(" (")[0]: limit.rate
        for limit in limits(COPY, HARDWARE, signed=signed)
    }


def test_each_limit_is_what_there_is_through_what_a_copy_takes() -> None:
    assert rates(signed=False) == pytest.approx(
        {
            "one machine for everything": 2000 / 2.0,
            "processors of the workers": 2000 / 1.0,
            "processors of PostgreSQL": 2000 / 0.4,
            "flushes of PostgreSQL": 500 / 0.1,
            "write rate of its disk": 150e6 / 1500,
            "connections": 25 * 1000 / 1.0,
            "room": 432e9 / 500 / 30 / 86_400,
            "network": 100e6 / 4000,
            "Redis": 50_000 / 0.01,
        }
    )


def test_a_signature_costs_workers_and_nobody_else() -> None:
    plain, signed = rates(signed=False), rates(signed=True)
    slower = {what for what in plain if signed[what] < plain[what]}
    assert slower == {
        "one machine for everything",
        "processors of the workers",
        "connections",
    }
    assert signed["processors of the workers"] == pytest.approx(1000)


def test_what_breaks_first_comes_first() -> None:
    found = [limit.rate for limit in limits(COPY, HARDWARE, signed=True)]
    assert found == sorted(found)


def test_without_commands_redis_is_no_limit() -> None:
    none = limits(replace(COPY, commands=0), HARDWARE, signed=False)
    assert none[-1].rate == float("inf")


def test_a_million_copies() -> None:
    assert dict(per_million(COPY)) == {
        "core seconds of workers, unsigned": "1,000",
        "core seconds of workers, RSA-2048": "2,000",
        "core seconds of listener (one post)": "100",
        "core seconds of PostgreSQL": "400",
        "core seconds of Redis": "500",
        "rows written (inserts and updates)": "3,000,000",
        "transactions": "100,000",
        "WAL, GB": "1.00",
        "tables and indexes until pruned, GB": "0.50",
        "sent to other servers, GB": "4.00",
        "commands of Redis": "10,000",
    }


def test_a_days_mail_by_its_busiest_hour() -> None:
    # A fifth of 100 million in an hour: 5,556 a second, and half idle.
    *_, most = volumes(COPY, HARDWARE)
    assert most[:4] == ["100,000,000", "5,556", "22.2", "4.4"]
    assert most[4:] == ["92", "5.6", "1,500", "178"]


def test_a_small_site_needs_one_process() -> None:
    least, *_ = volumes(COPY, HARDWARE)
    assert least[4] == "4"


def test_the_page_is_what_the_kept_measurement_gives() -> None:
    found = BLOCK.search(page.COST.read_text())
    assert found
    if not cost.KEPT.exists():
        assert not found[1].strip(), "figures without the measurement they are from"
        return
    assert Measured(**json.loads(cost.KEPT.read_text()))
    lines = cost.figures(1, 1.0, kept=True)
    assert found[1].strip() == "\n".join(lines).strip()
