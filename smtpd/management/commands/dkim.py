"""`manage.py dkim D`: the keys that sign a domain's mail."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from smtpd.domains import actions
from smtpd.domains.actions import Refused, check_name
from smtpd.domains.dns import Record
from smtpd.domains.keys import keys_of
from smtpd.models import Domain, SigningKey


class Command(BaseCommand):
    help = "Show the signing keys of a domain and what DNS says of them, or change one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("domain")
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--make", choices=("rsa", "ed25519"), help="make the next key")
        one.add_argument(
            "--switch",
            action="store_true",
            help="sign with the next key, if its record is in DNS",
        )
        one.add_argument("--drop", action="store_true", help="forget the next key")
        one.add_argument("--revoke", metavar="SELECTOR", help="a former key is stolen")
        one.add_argument(
            "--forget", metavar="SELECTOR", help="a former key's record is deleted"
        )
        parser.add_argument("--selector", default="", help="of the key to make")
        parser.add_argument(
            "--force", action="store_true", help="switch without its record in DNS"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name = check_name(options["domain"])
            domain = Domain.objects.filter(name=name).first()
            if domain is None:
                raise CommandError(f"{name} is not a domain of this site")
            self._change(domain, options)
        except Refused as problem:
            raise CommandError(" ".join(problem.messages)) from None

    def _change(self, domain: Domain, options: dict[str, Any]) -> None:
        if options["make"]:
            key = actions.make_next_key(domain, options["make"], options["selector"])
            self._publish(key)
        elif options["switch"]:
            actions.switch_key(domain, force=options["force"])
            self.stdout.write("switched; leave the old record where it is")
        elif options["drop"]:
            gone = actions.drop_next_key(domain)
            self.stdout.write("dropped" if gone else "there was no next key")
        elif options["revoke"]:
            self._publish(actions.revoke_key(domain, options["revoke"]))
        elif options["forget"]:
            actions.forget_key(domain, options["forget"])
            self.stdout.write("forgotten")
        else:
            self._show(domain)

    def _publish(self, key: SigningKey) -> None:
        self.stdout.write(str(Record(f"{key}.", "TXT", key.record, "DKIM")))

    def _show(self, domain: Domain) -> None:
        """A line for each key: its state, age and what DNS says."""
        keys = keys_of(domain, ask=True)
        for key in keys:
            said = key.finding.text if key.finding else ""
            self.stdout.write(f"{key.selector} {key.state}, {key.age}. {said}")
            if key.is_removable:
                self.stdout.write(f"delete the record {key.owner}, then --forget it")
        if not keys:
            self.stdout.write("not signed; --make rsa makes a key")
