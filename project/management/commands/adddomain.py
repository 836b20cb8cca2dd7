"""`manage.py adddomain D`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project.hosting import host_domain
from smtpd.domains.actions import Refused


class Command(BaseCommand):
    help = "Take in a domain: its signing key, its postmaster and abuse desk."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--description", default="")
        parser.add_argument("--dkim", default="rsa", choices=("rsa", "ed25519", "none"))

    def handle(self, *args: Any, **options: Any) -> None:
        dkim = options["dkim"].removeprefix("none")
        try:
            domain = host_domain(options["domain"], options["description"], dkim)
        except Refused as problem:
            raise CommandError(" ".join(problem.messages)) from None
        self.stdout.write(
            f"{domain} added; `manage.py dnsrecords {domain}` prints what to publish"
        )
