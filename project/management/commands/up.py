"""Run the whole site until Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from project.checks import at_start, is_local
from project.models import User
from project.signin import make_url
from project.supervisor.plan import ENVIRONMENT

# What the supervisor reads; the names are those of the settings.
_FACTS = (
    "FOLKMOOT_DATA",
    "WEB_BIND",
    "SMTP_BIND",
    "SUBMISSION_BIND",
    "SUBMISSIONS_BIND",
    "LMTP_BIND",
    "LOOKUP_BIND",
    "RELAY",
    "BASE_URL",
    "BROKER_URL",
    "WEB_PROCESSES",
    "SMTP_PROCESSES",
    "WORKERS",
)


class Command(BaseCommand):
    help = "Start broker, web, smtpd and workers together, and keep them alive."
    # The checks run below, after the lock and with the deployment's.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seed",
            action="store_true",
            help="fill an empty site with a demonstration",
        )

    def handle(self, *args: Any, seed: bool, **options: Any) -> None:
        lock = self._lock()
        self._check()
        call_command("migrate", interactive=False, verbosity=0)
        self._collect_static()
        if seed and not User.objects.exists():
            self.stdout.write("Filling the site with a demonstration")
            call_command("seed")
        facts = {name: str(getattr(settings, name)) for name in _FACTS}
        environment = os.environ | ENVIRONMENT | facts
        environment["FOLKMOOT_SIGNIN_URL"] = _signin_url()
        connections.close_all()
        os.set_inheritable(lock, True)
        self._become_supervisor(environment)

    def _lock(self) -> int:
        """Keep a second one off this data folder, as long as our process lives."""
        folder = settings.FOLKMOOT_DATA
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CommandError(f"cannot write to {folder}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Folkmoot already runs on {folder}. Stop it first, or set"
                " FOLKMOOT_DATA and other ports for a second site."
            ) from None
        return lock

    def _check(self) -> None:
        found = at_start()
        for message in found:
            self.stderr.write(f"{message.id} {message.msg}")
        if any(message.level >= checks.ERROR for message in found):
            raise CommandError("not started, because of the errors above")

    def _collect_static(self) -> None:
        """Once for each state of the source files."""
        stamp = settings.STATIC_ROOT / ".stamp"
        state = _static_state()
        if not stamp.exists() or stamp.read_text() != state:
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
            stamp.write_text(state)

    def _become_supervisor(self, environment: dict[str, str]) -> NoReturn:
        self.stdout.flush()
        os.chdir(settings.BASE_DIR)
        argv = [sys.executable, "-m", "project.supervisor"]
        os.execve(sys.executable, argv, environment)  # noqa: S606 - ourselves


def _static_state() -> str:
    """Name what the collected files were made from: installed packages and ours."""
    sources = [settings.BASE_DIR / "requirements.txt"]
    for folder in settings.STATICFILES_DIRS:
        sources += sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in sources)


def _signin_url() -> str:
    """Return a link for the admin, only where nobody else reads our log."""
    if not is_local():
        return ""
    admin = (
        User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    )
    return make_url(admin) if admin else ""
