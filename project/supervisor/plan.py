"""Which parts run, from the environment that `manage.py up` has completed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from project import binds

# Marks the URL of the broker we start ourselves.
EMBEDDED_SCHEME = "redis+socket"


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive, and the seconds it gets to stop by itself."""

    name: str
    argv: tuple[str, ...]
    grace: float
    # Takes mail, and so the sockets that mail comes in by.
    is_listener: bool = False


def _python(*argv: str) -> tuple[str, ...]:
    return (sys.executable, *argv)


def _web(bind: str, processes: str) -> Part:
    host, port = binds.split(bind)
    serve = ("-m", "granian", "--interface", "wsgi", "--no-ws")
    where = ("--host", host or "0.0.0.0", "--port", str(port))  # noqa: S104 - as asked
    size = ("--workers", processes, "--blocking-threads", "4")
    # A page that takes longer than this holds nobody up at the end.
    end = ("--respawn-failed-workers", "--workers-kill-timeout", "8")
    argv = _python(*serve, *where, *size, *end, "project.wsgi:application")
    return Part("web", argv, grace=10)


def parts(env: Mapping[str, str]) -> list[Part]:
    """Return the parts in the order in which they start.

    They stop in the order of STOPS: first who takes new work, then who does it,
    last what they all need.
    """
    planned: list[Part] = []
    if env["BROKER_URL"].startswith(f"{EMBEDDED_SCHEME}:"):
        planned.append(
            Part("broker", _python("-m", "project.supervisor.broker"), grace=10)
        )
    planned.append(_web(env["WEB_BIND"], env["WEB_PROCESSES"]))
    many = int(env["SMTP_PROCESSES"])
    for number in range(1, many + 1):
        name = "smtpd" if many == 1 else f"smtpd-{number}"
        argv = _python("manage.py", "smtpd", "--skip-checks")
        # A message on its way has 10 s, and its commit what the database needs.
        planned.append(Part(name, argv, grace=30, is_listener=True))
    # A warm stop ends the task in hand; one batch takes no longer than this.
    planned.append(Part("worker", _python("-m", "project.worker"), grace=60))
    return planned


# For the supervisor and every part. The checks are done, and they load every page;
# a thread needs no heap of its own.
ENVIRONMENT = {
    "CELERY_SKIP_CHECKS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "PYTHONUNBUFFERED": "1",
}

STOPS = ("smtpd", "web", "worker", "broker")


def stopping(planned: list[str]) -> list[list[str]]:
    """Group the names by when they stop; a group stops together."""
    kinds = [[n for n in planned if n.split("-")[0] == kind] for kind in STOPS]
    return [group for group in kinds if group]
