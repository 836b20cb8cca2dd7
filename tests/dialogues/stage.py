"""A real listener in front of the site of seed.py, for one dialogue.

A client comes in by the port of a service: `mx` (the default), `proxied` (the
same behind a proxy that is trusted), `lmtp`, `submission` (STARTTLS),
`submissions` (TLS from the first octet), and `mailbox`, where RELAY=mailbox
delivers.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.test import override_settings

from smtpd import nameserver
from smtpd.listener.arrival import networks
from smtpd.listener.blocklists import Blocklists
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll, Site
from smtpd.listener.requests import Kind
from smtpd.listener.service import Service
from smtpd.models import Message
from smtpd.submission.policy import Submission
from tests.dns import Dns
from tests.smtpd.listening import Client, Running

# Mistakes are made slow in production; here nobody waits for them.
LIMITS = Limits(error_pause=0.01, login_pause=0.01, grace_seconds=5)
TABLES = ("smtpd_domain", "smtpd_message")


def services() -> dict[str, Service]:
    """What a dialogue calls a port."""
    return {
        "mx": Service(Site()),
        "mailbox": Service(CatchAll()),
        "proxied": Service(Site(), trusts=networks("127.0.0.0/8")),
        "lmtp": Service(Site(answers_each=True), Kind.LMTP),
        "submission": Service(Submission(), Kind.SUBMISSION),
        "submissions": Service(Submission(), Kind.SUBMISSION, is_tls=True),
    }


class Stage:
    """One dialogue's listener, started when the first client comes."""

    def __init__(self, folder: Path, tls_context: ssl.SSLContext) -> None:
        self.folder = folder
        self.tls_context = tls_context
        self.service = "mx"
        self.limits: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        # Addresses that a blocklist has.
        self.listed: list[str] = []
        self._running: Running | None = None
        self._is_database_up = True
        self._until_close = ExitStack()

    def running(self) -> Running:
        """The listener."""
        if self._running is None:
            # The settings go last: what asks for them has ended by then.
            self._until_close.enter_context(override_settings(**self.settings))
            self._running = Running(
                services()[self.service],
                self.folder,
                limits=replace(LIMITS, **self.limits),
                tls_context=self.tls_context,
                blocklists=self._blocklists(),
            )
            self._running.start()
            self._until_close.callback(self._running.wait)
            self._until_close.callback(self._running.begin_stop)
        return self._running

    def _blocklists(self) -> Blocklists | None:
        """A list of the test's own, asked over DNS."""
        if not self.listed:
            return None
        dns = self._until_close.enter_context(Dns())
        for address in self.listed:
            turned = ".".join(reversed(address.split(".")))
            dns.add(f"{turned}.block.test", "A", "127.0.0.2")
        with override_settings(DNS_SERVER=dns.address):
            return Blocklists(["block.test"], nameserver.resolver())

    def connect(self) -> Client:
        """One more client."""
        client = self.running().connect()
        if services()[self.service].is_tls:
            client.start_tls()
        return client

    @property
    def connections(self) -> int:
        """How many are connected now."""
        return self.running().connections

    def messages(self) -> int:
        """How many messages that came in are stored."""
        return _taken().count()

    def received(self) -> str:
        """Our Received field of the last message, unfolded and without its name."""
        trace = bytes(_taken().latest("id").trace).decode()
        return " ".join(trace.removeprefix("Received:").split())

    def report(self) -> list[str]:
        """The lines of the last message that the site itself wrote."""
        written = Message.objects.filter(source=Message.Source.SITE).latest("id")
        return bytes(written.raw).decode().splitlines()

    def set_database(self, *, is_up: bool) -> None:
        """Take away the tables that decisions and messages need, or give them back."""
        if is_up == self._is_database_up:
            return
        self._is_database_up = is_up
        with connection.cursor() as cursor:
            for table in TABLES:
                aside = f"{table}_aside"
                old, new = (aside, table) if is_up else (table, aside)
                cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    def close(self) -> None:
        """Stop the listener; nothing may have gone wrong behind its clients' backs."""
        self.set_database(is_up=True)
        self._until_close.close()


def _taken() -> QuerySet[Message]:
    """Not what the site itself has written, such as reports."""
    return Message.objects.exclude(source=Message.Source.SITE)
