"""Answer on SMTP_BIND, and on the mailbox socket when RELAY=mailbox."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from smtpd import nameserver
from smtpd.listener.arrival import networks
from smtpd.listener.limits import Limits
from smtpd.listener.runner import Options, run


class Command(BaseCommand):
    help = "Take mail over SMTP until SIGTERM or SIGINT."

    def handle(self, *args: Any, **options: Any) -> None:
        # Our 250 is only as good as the database's commit.
        self.check(tags=["durability"], include_deployment_checks=True)
        # aiosmtpd's own log says several lines for each connection.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        keeps = settings.RELAY == "mailbox"
        wanted = Options(
            hostname=settings.SMTP_HOSTNAME,
            bind=settings.SMTP_BIND,
            submission=settings.SUBMISSION_BIND,
            submissions=settings.SUBMISSIONS_BIND,
            lmtp=settings.LMTP_BIND,
            lookup=settings.LOOKUP_BIND,
            spool=settings.FOLKMOOT_DATA / "spool",
            mailbox=settings.FOLKMOOT_DATA / "mailbox.sock" if keeps else None,
            tls_cert=settings.TLS_CERT,
            tls_key=settings.TLS_KEY,
            trusts=networks(settings.PROXY_FROM),
            blocklists=tuple(settings.DNSBL),
            resolver=nameserver.resolver,
            limits=Limits(
                message_size=settings.MAX_MESSAGE_SIZE,
                greeting_pause=settings.GREETING_PAUSE,
            ),
        )
        try:
            asyncio.run(run(wanted, self.say_ready))
        except (OSError, ValueError, ImproperlyConfigured) as error:
            raise CommandError(f"smtpd cannot start: {error}") from error

    def say_ready(self, names: list[str]) -> None:
        self.stdout.write(f"smtpd ready on {', '.join(names)}")
        self.stdout.flush()
