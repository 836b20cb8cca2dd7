"""RELAY=mx to a real Postfix on another machine, at the port that it has there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import certificates
from tests.dns import Dns
from tests.e2e.conversation import mail, send
from tests.namespace import HERE, NOBODY, THERE, start_namespace
from tests.postfix import start_postfix
from tests.sink import Sink
from tests.stack import start_stack, wait_until

pytestmark = pytest.mark.e2e
LIST = "far@lists.localhost"
FAR = "far.test"
PARTS = ("broker", "smtpd", "worker")
PEOPLE = [f"member{at}@{FAR}" for at in range(40)]


def test_copies_cross_a_cable_and_the_first_server_is_away(tmp_path: Path) -> None:
    certificate = certificates.write(tmp_path / "both.pem")
    with start_namespace() as far, Dns() as dns, Sink(host=HERE) as sink:
        settings = {
            "inet_interfaces": THERE,
            "relay_domains": FAR,
            "relayhost": f"[{HERE}]:{sink.port}",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": str(certificate),
            "smtpd_tls_key_file": str(certificate),
            "smtpd_tls_loglevel": "1",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "smtpd_recipient_restrictions": "check_recipient_access"
            f" inline:{{ {{gone@{FAR} = 550 5.1.1 nobody}} }}",
        }
        dns.add(FAR, "MX", f"10 first.{FAR}.", f"20 second.{FAR}.")
        dns.add(f"first.{FAR}", "A", NOBODY)
        dns.add(f"second.{FAR}", "A", THERE)
        with (
            start_postfix(settings, port=25, host=THERE, within=far.within) as postfix,
            start_stack(
                relay="mx",
                parts=PARTS,
                env={
                    "DNS_SERVER": dns.address,
                    "MX_PRIVATE": "1",
                },
            ) as stack,
        ):
            stack.manage("addlist", LIST, "--set", "posters=anyone")
            members = "\n".join([*PEOPLE, f"gone@{FAR}"])
            stack.manage("addmembers", LIST, "-", stdin=members)
            assert not send(stack, mail("far"), [LIST])
            sink.wait_for(len(PEOPLE), 60)
            rows = "SELECT state, host, code, enhanced FROM smtpd_delivery"
            wait_until(
                lambda: (
                    stack.count(f"SELECT count(*) FROM ({rows}) x WHERE code > 0")
                    == len(PEOPLE) + 1
                ),
                30,
                "results",
            )
            found = stack.rows(rows)
            assert {row[1] for row in found} == {f"second.{FAR}[{THERE}]:25"}
            assert [row for row in found if row[0] != "sent"] == [
                ("failed", f"second.{FAR}[{THERE}]:25", 550, "5.1.1")
            ]
            assert sorted(sink.recipients()) == sorted(PEOPLE)
            assert postfix.lines("Anonymous TLS connection established from")
