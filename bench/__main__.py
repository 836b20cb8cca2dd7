"""./run bench: measure, print a table, and with --write keep it in docs/bench.md.

Needs PostgreSQL and Redis: DATABASE_URL and BROKER_URL, by default those of
this machine. Every figure of a run is taken with everything on one machine;
quote ratios, for machines differ and drift.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
os.environ.setdefault("BROKER_URL", "redis://127.0.0.1:6379/0")

from bench import memory, product

PAGE = Path(__file__).parent.parent / "docs" / "bench.md"
MARK = "<!-- figures -->\n"


def openssl_signatures() -> float:
    """RSA-2048 signatures a second of all cores together."""
    told = subprocess.run(
        ["openssl", "speed", "-seconds", "2", "-multi", str(os.cpu_count()), "rsa2048"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(told.stdout.strip().splitlines()[-1].split()[-2])


def first_line(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return (told.stdout.strip().splitlines() or ["unknown"])[0]


def machine() -> str:
    model = first_line("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2")
    parts = (
        f"{os.cpu_count()} cores ({model.strip()})",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        first_line("psql", "--version"),
        first_line("redis-server", "--version").split(" sha=")[0],
        first_line("openssl", "version"),
    )
    return ", ".join(parts)


def spread(values: list[float], form: str = "{:,.0f}") -> str:
    """Median (least - most)."""
    shown = [form.format(v) for v in (statistics.median(values), *_ends(values))]
    return f"{shown[0]} ({shown[1]} - {shown[2]})"


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def fan_out(copies: int, runs: int) -> list[str]:
    """One row for each kind of post; signatures as a ratio to openssl around them."""
    limits: list[float] = []
    rows: dict[str, list[product.Figures]] = {}
    ratios: list[float] = []
    for _ in range(runs):
        before = openssl_signatures()
        for name, figures in product.run(copies).items():
            rows.setdefault(name, []).append(figures)
        limit = (before + openssl_signatures()) / 2
        limits.append(limit)
        ratios.append(rows["signed RSA-2048"][-1].rate / limit)
    lines = [
        "| post | copies | copies/s | first copy, ms | statements a copy |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in rows.items():
        count = found[0].copies
        lines.append(
            f"| {name} | {count:,} | {spread([f.rate for f in found])}"
            f" | {spread([f.first_copy * 1000 for f in found])}"
            f" | {spread([f.statements / f.copies for f in found], '{:.3f}')} |"
        )
    return [
        *lines,
        "",
        f"openssl, all cores: {spread(limits)} RSA-2048 signatures/s;"
        f" signed copies a signature: {spread(ratios, '{:.2f}')}.",
    ]


def idle_memory() -> list[str]:
    held = memory.idle(os.cpu_count() or 1)
    names = ", ".join(f"{name.split(' ')[0]} {size}" for name, size in held.items())
    return [f"Idle, everything ./run starts, MiB PSS: {sum(held.values())} ({names})."]


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--copies", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/bench.md")
    told = parser.parse_args()
    lines = [machine(), "", *fan_out(told.copies, told.runs), "", *idle_memory()]
    print("\n".join(lines))
    if told.write:
        head = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(head + MARK + "\n" + "\n".join(lines) + "\n")
    sys.exit(0)


if __name__ == "__main__":
    main()
