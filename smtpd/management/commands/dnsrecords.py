"""`manage.py dnsrecords D`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from smtpd.domains.actions import Refused, check_name
from smtpd.domains.dns import records
from smtpd.models import Domain


class Command(BaseCommand):
    help = "Print what a domain has to publish in DNS, as zone-file lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("domain")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name = check_name(options["domain"])
        except Refused as problem:
            raise CommandError(" ".join(problem.messages)) from None
        domain = Domain.objects.filter(name=name).first()
        if domain is None:
            raise CommandError(f"{name} is not a domain of this site")
        others = domain.signing_keys.in_dns()
        for record in records(domain, settings.SMTP_HOSTNAME, others):
            self.stdout.write(str(record))
