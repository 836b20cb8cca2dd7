"""A real HAProxy in front: the listener sees the client, as docs/operating.md says."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conversation import mail
from tests.stack import Stack, free_port, start_stack, wait_until

pytestmark = pytest.mark.e2e

HAPROXY = Path("/usr/sbin/haproxy")
# The proxy's own address, and the client's.
PROXY, CLIENT = "127.0.0.2", "127.0.0.9"
LIST = "talk@lists.localhost"
_CONFIGURATION = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:{front}
  source {proxy}
  server folkmoot 127.0.0.1:{back} {words}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Stack]:
    if not HAPROXY.exists():
        pytest.skip("needs Debian's haproxy")
    env = {"PROXY_FROM": PROXY}
    with start_stack(parts=("broker", "smtpd"), env=env) as stack:
        yield stack


@contextmanager
def haproxy(folder: Path, back: int, words: str) -> Iterator[int]:
    front = free_port()
    path = folder / "haproxy.cfg"
    path.write_text(
        _CONFIGURATION.format(front=front, back=back, proxy=PROXY, words=words)
    )
    process = subprocess.Popen([HAPROXY, "-db", "-f", path])
    try:
        yield front
    finally:
        process.kill()
        process.wait(5)


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2"])
def test_the_client_is_seen(site: Stack, tmp_path: Path, words: str) -> None:
    raw = mail(words)
    with haproxy(tmp_path, site.smtp_port, words) as port:
        wait_until(lambda: _answers(port), 10, "haproxy")
        with smtplib.SMTP(
            "127.0.0.1", port, "client.test", source_address=(CLIENT, 0)
        ) as client:
            client.sendmail("sam@example.org", [LIST], raw)
    sql = "SELECT peer FROM smtpd_message WHERE msg_id LIKE %s"
    [(peer,)] = site.rows(sql, f"%{words}@example.org%")
    assert str(peer).removesuffix("/32") == CLIENT


def test_a_health_check_is_answered(site: Stack, tmp_path: Path) -> None:
    """HAProxy asks by itself and speaks for nobody (LOCAL)."""
    words = "send-proxy-v2 check check-send-proxy inter 200ms fall 1 rise 1"
    with haproxy(tmp_path, site.smtp_port, words) as port:
        wait_until(lambda: _answers(port), 10, "a server that is up")
        with smtplib.SMTP("127.0.0.1", port) as client:
            assert client.noop()[0] == 250


def test_without_the_header_nobody_comes_in(site: Stack, tmp_path: Path) -> None:
    with haproxy(tmp_path, site.smtp_port, "") as port:
        wait_until(lambda: _listens(port), 10, "haproxy")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            smtplib.SMTP("127.0.0.1", port, timeout=20)


def _answers(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            return client.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def _listens(port: int) -> bool:
    done = subprocess.run(
        ["bash", "-c", f": </dev/tcp/127.0.0.1/{port}"],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0
