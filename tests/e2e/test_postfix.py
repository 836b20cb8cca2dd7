"""A real Postfix on both sides of a site, configured as docs/operating.md says."""

from __future__ import annotations

import email
import smtplib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import certificates
from tests.e2e.conversation import Arrived, is_quiet, mail, public_key, verifies
from tests.postfix import Postfix, recipe, start_postfix
from tests.sink import Received, Sink
from tests.stack import Stack, free_port, start_stack, wait_until

pytestmark = pytest.mark.e2e

LMTP, LOOKUP = "127.0.0.1:2424", "127.0.0.1:2427"
TALK, NEWS = "talk@lists.localhost", "news@lists.localhost"
HELLO, NOBODY = "hello@lists.localhost", "nobody@lists.localhost"

# The default of the setting.
RELAY_CONNECTIONS = 10


@dataclass(frozen=True)
class Site:
    """A Postfix that is in front and behind; what leaves it is in the sink."""

    stack: Stack
    postfix: Postfix
    sink: Sink
    # The same Postfix without the policy service...
    tables_only: int
    # ...and one that asks nothing but the policy service.
    policy_only: int

    def arrived(self, name: str) -> list[Received]:
        return [m for m in self.sink.messages if f"<{name}@".encode() in m.raw]

    def members(self) -> int:
        """How many get a copy of what is posted to talk@."""
        return self.stack.count(
            "SELECT count(*) FROM lists_subscription s JOIN lists_mailinglist m"
            " ON m.id = s.mailing_list_id JOIN smtpd_address a ON a.id = m.address_id"
            " WHERE a.local_part = 'talk' AND s.mode = 'each'"
        )

    def wait_quiet(self) -> None:
        """Until everything has left us, and Postfix."""
        try:
            wait_until(self._is_quiet, 30, "copies")
        except AssertionError as error:
            error.add_note(self.postfix.log()[-5000:])
            raise

    def _is_quiet(self) -> bool:
        """What is in front comes to us, and what leaves us is behind."""
        queued = self.postfix.queued
        return not queued() and is_quiet(self.stack) and not queued()

    def protocol(self) -> str:
        """How the newest message came."""
        sql = "SELECT protocol FROM smtpd_message ORDER BY id DESC LIMIT 1"
        return str(self.stack.rows(sql)[0][0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    certificate = certificates.write(tmp_path_factory.mktemp("tls") / "both.pem")
    ports = {there: f"127.0.0.1:{free_port()}" for there in (LMTP, LOOKUP)}
    smtp, tables_only, policy_only = free_port(), free_port(), free_port()
    behind = free_port()
    env = {
        "LMTP_BIND": ports[LMTP],
        "LOOKUP_BIND": ports[LOOKUP],
        "SMTP_BIND": f"127.0.0.1:{smtp}",
        "TLS_CERT": str(certificate),
        "TLS_KEY": str(certificate),
        "RELAY_TLS": "none",
    }
    relay = f"127.0.0.1:{behind}"
    parts = ("broker", "smtpd", "worker")
    with Sink() as sink, start_stack(relay=relay, parts=parts, env=env) as stack:
        stack.manage("adddomain", "smtp.test")
        stack.manage("addalias", "pat@smtp.test", "pat@example.org")
        settings = {
            **recipe("Postfix in front", ports),
            **recipe("Postfix behind", {}),
            "relayhost": f"[127.0.0.1]:{sink.port}",
            # One of our domains by SMTP, for Postfix as a client of that port.
            "transport_maps": f"inline:{{smtp.test=smtp:[127.0.0.1]:{smtp}}}",
            "smtp_tls_policy_maps": f"inline:{{[127.0.0.1]:{smtp}=encrypt}}",
        }
        services = (
            f"{tables_only} inet n - n - - smtpd -o smtpd_recipient_restrictions=\n"
            f"{policy_only} inet n - n - - smtpd -o smtpd_reject_unlisted_recipient=no"
            " -o smtpd_relay_restrictions=permit_mynetworks,reject\n"
        )
        with start_postfix(settings, port=behind, master=services) as postfix:
            yield Site(stack, postfix, sink, tables_only, policy_only)


def rcpt(port: int, recipient: str) -> tuple[int, str]:
    """What the Postfix on this port says to it."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo("client.test")
        client.mail("sam@example.org")
        code, text = client.rcpt(recipient)
        return code, text.decode()


def send(port: int, raw: bytes, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        return client.sendmail("sam@example.org", recipients, raw)


# --- in front ---------------------------------------------------------------------


def test_unknown_recipients_are_refused_in_our_words(site: Site) -> None:
    port = site.postfix.port
    assert rcpt(port, TALK)[0] == 250
    assert rcpt(port, "Talk+tag@Lists.Localhost")[0] == 250
    code, text = rcpt(port, NOBODY)
    assert code == 550
    assert text.startswith("5.1.1 ")
    assert "There is no such address here" in text
    code, text = rcpt(port, "bounces+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@lists.localhost")
    assert code == 550
    assert text.startswith("5.7.1 ")
    assert "This address is not valid" in text


def test_the_tables_refuse_them_without_the_policy_service(site: Site) -> None:
    assert rcpt(site.tables_only, TALK)[0] == 250
    code, text = rcpt(site.tables_only, NOBODY)
    assert code == 550
    assert text.startswith("5.1.1 ")
    assert "relay recipient table" in text


def test_postmap_reads_the_tables(site: Site) -> None:
    where = f"socketmap:inet:{site.stack.env['LOOKUP_BIND']}"
    query = site.postfix.query
    assert query(f"{where}:domain", "lists.localhost") == "lists.localhost"
    assert query(f"{where}:domain", "elsewhere.test") is None
    assert query(f"{where}:recipient", TALK) == TALK
    assert query(f"{where}:recipient", NOBODY) is None
    lmtp = site.stack.env["LMTP_BIND"]
    assert query(f"{where}:transport", TALK) == f"lmtp:inet:{lmtp}"
    assert query(f"{where}:transport", "sam@example.org") is None


def test_a_post_comes_in_by_lmtp_and_goes_out_signed(site: Site) -> None:
    raw = mail("through")
    done = subprocess.run(
        (
            *("swaks", "--server", "127.0.0.1", "--port", str(site.postfix.port)),
            *("--from", "sam@example.org", "--to", TALK, "--data", "-"),
        ),
        input=raw,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site.wait_quiet()
    copies = site.arrived("through")
    assert len(copies) == site.members() >= 25
    record = public_key(site.stack)
    for copy in copies:
        assert b"\r\n\r\nGood morning.\r\n.a line with a dot\r\n" in copy.raw
        assert verifies(Arrived(copy.sender, copy.recipients[0], copy.raw), record)
    assert site.protocol() == "LMTP"


def test_one_list_refuses_and_only_that_one_bounces(site: Site) -> None:
    assert not send(site.postfix.port, mail("both"), TALK, NEWS)
    site.wait_quiet()
    assert len(site.arrived("both")) == site.members() + 1
    [report] = [m for m in site.arrived("both") if m.sender == ""]
    assert report.recipients == ("sam@example.org",)
    [status] = [
        part
        for part in email.message_from_bytes(report.raw).walk()
        if part.get_content_type() == "message/delivery-status"
    ]
    text = status.as_string()
    assert text.count("Final-Recipient") == 1
    assert f"rfc822; {NEWS}" in text
    assert "5.7.1 Only the owners may post" in " ".join(text.split())


def test_our_trouble_is_temporary(site: Site) -> None:
    site.stack.execute("ALTER TABLE smtpd_domain RENAME TO gone")
    try:
        # An address of its own: Postfix remembers the last answer for a while.
        assert rcpt(site.postfix.port, HELLO)[0] in (450, 451)
        assert rcpt(site.tables_only, HELLO)[0] in (450, 451)
        code, text = rcpt(site.policy_only, HELLO)
        assert code == 450
        assert "4.3.0" in text
        assert "Trouble on our side, try again later (id " in text
    finally:
        site.stack.execute("ALTER TABLE gone RENAME TO smtpd_domain")
    assert rcpt(site.postfix.port, TALK)[0] == 250


def test_a_domain_shared_with_mailboxes(site: Site, tmp_path: Path) -> None:
    mailboxes = tmp_path / "mailboxes"
    mailboxes.write_text("kim@lists.localhost kim/\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    told = {
        LOOKUP: site.stack.env["LOOKUP_BIND"],
        "example.org": "lists.localhost",
        "/etc/postfix/mailboxes": str(mailboxes),
    }
    settings = {
        **recipe("Postfix in front, one domain for mailboxes and lists", told),
        # The mailboxes' own server.
        "virtual_transport": f"smtp:[127.0.0.1]:{site.sink.port}",
    }
    with start_postfix(settings) as shared:
        assert rcpt(shared.port, NOBODY)[0] == 550
        send(shared.port, mail("shared"), TALK, "kim@lists.localhost")
        wait_until(lambda: not shared.queued(), 30, shared.log())
        site.wait_quiet()
    got = [to for copy in site.arrived("shared") for to in copy.recipients]
    assert len(got) == site.members() + 1
    assert "kim@lists.localhost" in got


# --- behind -----------------------------------------------------------------------


def test_utf8_and_8bit_go_through_postfix_in_few_connections(site: Site) -> None:
    site.stack.manage("addmembers", TALK, "-", stdin="jürgen@example.org\n")
    opened, taken = r"smtpd\[.*: connect from", r"smtpd\[.*: client="
    before = [len(site.postfix.lines(what)) for what in (opened, taken)]
    raw = mail("utf8", subject="Grüße").replace(b"Good morning.", "Schön".encode())
    with smtplib.SMTP("127.0.0.1", site.stack.smtp_port, timeout=30) as client:
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        assert not client.sendmail("sam@example.org", [TALK], raw, options)
    site.wait_quiet()
    copies = site.arrived("utf8")
    assert len(copies) == site.members()
    assert all("Schön".encode() in copy.raw for copy in copies)
    assert all("SMTPUTF8" in copy.parameters for copy in copies)
    assert "jürgen@example.org" in [copy.recipients[0] for copy in copies]
    assert len(site.postfix.lines(opened)) - before[0] <= RELAY_CONNECTIONS
    assert len(site.postfix.lines(taken)) - before[1] == len(copies)
    assert not site.postfix.lines(
        "improper command pipelining|lost connection after [DR]"
    )


# --- as a client of our SMTP port ---------------------------------------------------


def test_postfix_delivers_to_our_port_over_tls(site: Site) -> None:
    send(site.postfix.port, mail("by-smtp"), "pat@smtp.test")
    site.wait_quiet()
    [copy] = site.arrived("by-smtp")
    assert copy.recipients == ("pat@example.org",)
    assert site.protocol() == "ESMTPS"
    sent = site.postfix.lines(
        r"to=<pat@smtp\.test>.*status=sent \(250 2\.0\.0 OK queued"
    )
    assert sent
