"""The mail clients people have: each sends to the listener in its own way."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tests import certificates
from tests.e2e.conversation import mail
from tests.postfix import SBIN, need_postfix
from tests.stack import Stack, free_port, start_stack

pytestmark = pytest.mark.e2e

PAT = "pat@lists.localhost"
OLGA = "olga@example.org"


@dataclass(frozen=True)
class Site:
    """Every port of a listener, and what has come in by them."""

    stack: Stack
    submission: int
    submissions: int
    lmtp: Path
    certificate: Path
    password: str

    @property
    def port(self) -> int:
        return self.stack.smtp_port

    def protocol(self, name: str) -> str:
        """How the only mail of this name came; it is stored."""
        sql = "SELECT protocol FROM smtpd_message WHERE msg_id LIKE %s"
        [(protocol,)] = self.stack.rows(sql, f"%{name}@example.org%")
        return str(protocol)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("clients")
    certificate = certificates.write(folder / "both.pem")
    submission, submissions = free_port(), free_port()
    env = {
        "SUBMISSION_BIND": f"127.0.0.1:{submission}",
        "SUBMISSIONS_BIND": f"127.0.0.1:{submissions}",
        "LMTP_BIND": str(folder / "lmtp"),
        "TLS_CERT": str(certificate),
        "TLS_KEY": str(certificate),
    }
    with start_stack(parts=("broker", "smtpd"), env=env) as stack:
        stack.manage("addalias", PAT, "pat@example.org")
        made = stack.manage(
            *("shell", "-v0", "-c"),
            "from project.models import User\n"
            "from smtpd.submission.actions import make_password\n"
            f"print(make_password(User.objects.get(email={OLGA!r}), 'test')[1])",
        )
        password = made.split()[-1]
        yield Site(
            stack, submission, submissions, folder / "lmtp", certificate, password
        )


def run(*argv: str | Path, stdin: bytes = b"") -> str:
    """Run a client; it must be content."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, timeout=60, check=False
    )
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text


# --- curl -------------------------------------------------------------------------


def curl(site: Site, url: str, name: str, *more: str | Path) -> None:
    envelope = ("--mail-from", OLGA, "--mail-rcpt", PAT, "--upload-file", "-")
    run(
        *("curl", "--silent", "--show-error", "--url", url, *envelope, *more),
        stdin=mail(name, author=OLGA),
    )


def test_curl(site: Site) -> None:
    curl(site, f"smtp://127.0.0.1:{site.port}", "curl")
    assert site.protocol("curl") == "ESMTP"


def test_curl_by_starttls_checks_the_certificate(site: Site) -> None:
    tls = ("--ssl-reqd", "--cacert", site.certificate)
    curl(site, f"smtp://127.0.0.1:{site.port}", "curl-tls", *tls)
    assert site.protocol("curl-tls") == "ESMTPS"


def test_curl_submits_by_tls_from_the_first_octet(site: Site) -> None:
    login = ("--cacert", site.certificate, "--user", f"{OLGA}:{site.password}")
    curl(site, f"smtps://127.0.0.1:{site.submissions}", "curl-auth", *login)
    assert site.protocol("curl-auth") == "ESMTPSA"


# --- swaks ------------------------------------------------------------------------


def swaks(site: Site, port: int, name: str, *more: str) -> str:
    server = ("--server", "127.0.0.1", "--port", str(port))
    envelope = ("--from", OLGA, "--to", PAT, "--data", "-")
    return run("swaks", *server, *envelope, *more, stdin=mail(name, author=OLGA))


def test_swaks(site: Site) -> None:
    assert "queued as" in swaks(site, site.port, "swaks")
    assert site.protocol("swaks") == "ESMTP"


def test_swaks_by_starttls(site: Site) -> None:
    swaks(site, site.port, "swaks-tls", "--tls")
    assert site.protocol("swaks-tls") == "ESMTPS"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(site: Site, mechanism: str) -> None:
    login = ("--auth", mechanism, "--auth-user", OLGA)
    secret = ("--auth-password", site.password)
    name = f"swaks-{mechanism.lower()}"
    swaks(site, site.submission, name, "--tls", *login, *secret)
    assert site.protocol(name) == "ESMTPSA"


def test_swaks_speaks_lmtp_to_the_unix_socket(site: Site) -> None:
    where = ("--socket", str(site.lmtp), "--protocol", "LMTP")
    envelope = ("--from", OLGA, "--to", PAT, "--data", "-")
    run("swaks", *where, *envelope, stdin=mail("swaks-lmtp", author=OLGA))
    assert site.protocol("swaks-lmtp") == "LMTP"


# --- Python -----------------------------------------------------------------------


def context(site: Site) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(site.certificate))


def test_smtplib_logs_in_and_sends(site: Site) -> None:
    with smtplib.SMTP("127.0.0.1", site.submission, timeout=30) as client:
        client.starttls(context=context(site))
        client.login(OLGA, site.password)
        assert not client.sendmail(OLGA, [PAT], mail("smtplib", author=OLGA))
    assert site.protocol("smtplib") == "ESMTPSA"


def test_smtplib_speaks_lmtp(site: Site) -> None:
    with smtplib.LMTP(str(site.lmtp)) as client:
        assert not client.sendmail(OLGA, [PAT], mail("python-lmtp", author=OLGA))
    assert site.protocol("python-lmtp") == "LMTP"


# --- OpenSSL ----------------------------------------------------------------------


def replies(output: IO[bytes], last: bytes) -> None:
    """Read until a reply's last line begins so."""
    while not (line := output.readline()).startswith(last):
        assert line, f"the end, before {last!r}"


def test_openssl_shakes_hands_and_sends_by_hand(site: Site) -> None:
    client = subprocess.Popen(
        (
            *("openssl", "s_client", "-connect", f"127.0.0.1:{site.port}"),
            *("-starttls", "smtp", "-quiet", "-verify_return_error"),
            *("-CAfile", site.certificate, "-verify_ip", "127.0.0.1"),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with client:
        assert client.stdin
        assert client.stdout
        for octets, reply in (
            (b"EHLO client.test\r\n", b"250 "),
            (b"MAIL FROM:<sam@example.org>\r\n", b"250 2.1.0"),
            (b"RCPT TO:<pat@lists.localhost>\r\n", b"250 2.1.5"),
            (b"DATA\r\n", b"354"),
            (mail("openssl").replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250 2.0.0"),
            (b"QUIT\r\n", b"221"),
        ):
            client.stdin.write(octets)
            client.stdin.flush()
            replies(client.stdout, reply)
    assert site.protocol("openssl") == "ESMTPS"


# --- smtp-source ------------------------------------------------------------------


def count(site: Site, name: str) -> int:
    sql = "SELECT count(*) FROM smtpd_message WHERE subject = %s"
    return site.stack.count(sql, name)


@pytest.mark.parametrize("more", [(), ("-d",)], ids=["each", "kept"])
def test_smtp_source_sends_fifty_by_five(site: Site, more: tuple[str, ...]) -> None:
    """Each message with a connection of its own, or five for all."""
    need_postfix()
    name = f"fifty {len(more)}"
    load = ("-s", "5", "-m", "50", "-l", "3000", "-S", name, *more)
    run(SBIN / "smtp-source", *load, "-f", OLGA, "-t", PAT, f"127.0.0.1:{site.port}")
    assert count(site, name) == 50


def test_smtp_source_speaks_lmtp(site: Site) -> None:
    need_postfix()
    load = ("-L", "-s", "5", "-m", "50", "-l", "3000", "-S", "lmtp")
    run(SBIN / "smtp-source", *load, "-f", OLGA, "-t", PAT, f"unix:{site.lmtp}")
    assert count(site, "lmtp") == 50
