"""./run bench: measure, print, and with --write keep it in docs/bench.md.

Needs PostgreSQL and Redis: DATABASE_URL and BROKER_URL, by default those of
this machine; and smtp-source, which is in Debian's package postfix. Every
figure of a part is taken with everything on one machine; quote ratios, for
machines differ and drift.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial

os.environ.setdefault("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
os.environ.setdefault("BROKER_URL", "redis://127.0.0.1:6379/0")

from bench import (
    acceptance,
    cost,
    deciding,
    fanout,
    large,
    machine,
    memory,
    page,
    rows,
    siege,
)

# Called with how often to measure, and how much less than usual.
PARTS: dict[str, Callable[[int, float], list[str]]] = {
    "fanout": fanout.figures,
    "acceptance": acceptance.figures,
    "rcpt": deciding.figures,
    "large": large.figures,
    "siege": siege.figures,
    "memory": memory.figures,
    "million": fanout.million,
    "cost": cost.figures,
}
UNASKED = ("million", "cost")
USUAL = [name for name in PARTS if name not in UNASKED]
FRONT = ("acceptance", "rcpt", "large", "siege")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=[*USUAL, "front"],
        help="a part, or all parts of the front door; may be repeated",
    )
    parser.add_argument(
        "part", nargs="?", choices=[*UNASKED], help="what is never measured unasked"
    )
    parser.add_argument(
        "--row",
        action="append",
        default=[],
        choices=[row.name for row in rows.ROWS],
        metavar="NAME",
        help="of the fan-out: this row alone; --rows names them all",
    )
    parser.add_argument("--rows", action="store_true", help="name the rows and end")
    parser.add_argument("--full", action="store_true", help="all rows of the fan-out")
    parser.add_argument(
        "--kept", action="store_true", help="cost: by the figures of the last --write"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="0.1: a tenth of the work, to try it"
    )
    parser.add_argument("--write", action="store_true", help="into docs/bench.md")
    told = parser.parse_args()
    if told.rows:
        print("\n".join(f"{row.name:24}{row.what}; {row.setting}" for row in rows.ROWS))
        return
    PARTS["cost"] = partial(cost.figures, kept=told.kept, keeps=told.write)
    PARTS["fanout"] = partial(fanout.figures, names=told.row, full=told.full)
    wanted = [told.part] if told.part else told.only or list(USUAL)
    for name in _wanted(wanted):
        lines = PARTS[name](told.runs, told.scale)
        if name != "cost":
            lines += ["", machine.description()]
        print("\n".join((f"## {name}", "", *lines, "")), flush=True)
        if told.write:
            page.write(name, lines)


def _wanted(names: list[str]) -> list[str]:
    wanted = {part for name in names for part in (FRONT if name == "front" else [name])}
    return [part for part in PARTS if part in wanted]


if __name__ == "__main__":
    main()
