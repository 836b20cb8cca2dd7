"""Run the benchmark on a database of its own and print a table."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys

import django
import psycopg
from psycopg import sql

NAME = "folkmoot_bench"
SERVER = os.environ.get("BENCH_SERVER", "postgres://postgres@127.0.0.1:5432")


def fresh_database() -> None:
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
        name = sql.Identifier(NAME)
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
    os.environ["DATABASE_URL"] = f"{SERVER}/{NAME}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True)
    django.setup()


def openssl_signatures() -> float:
    """RSA-2048 signatures a second of one core, by `openssl speed`."""
    told = subprocess.run(
        ["openssl", "speed", "-seconds", "2", "rsa2048"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(told.stdout.strip().splitlines()[-1].split()[-2])


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("--copies", type=int, default=10_000)
    told = parser.parse_args()
    fresh_database()
    from bench import fanout  # noqa: PLC0415 - Django must be set up first
    from smtpd.models import Domain  # noqa: PLC0415 - as above

    domain = Domain.objects.create(name="lists.test", dkim_key=fanout.make_key())
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"
    )
    print(f"openssl rsa2048 sign: {openssl_signatures():.0f}/s of one core\n")
    print("| run | copies/s | first copy ms | statements/copy | worker CPU us/copy |")
    print("| --- | ---: | ---: | ---: | ---: |")
    runs = (
        ("personal, unsigned, 2 workers", fanout.run(told.copies)),
        ("personal, unsigned, 1 worker", fanout.run(told.copies, workers=1)),
        ("one body, unsigned, 2 workers", fanout.run(told.copies, verp=False)),
        ("personal, RSA-2048, 2 workers", fanout.run(told.copies, domain=domain)),
    )
    for name, figures in runs:
        print(
            f"| {name} | {figures.rate:.0f} | {figures.first_copy * 1000:.0f}"
            f" | {figures.statements / figures.copies:.3f}"
            f" | {figures.worker_cpu / figures.copies * 1e6:.0f} |"
        )


if __name__ == "__main__":
    main()
