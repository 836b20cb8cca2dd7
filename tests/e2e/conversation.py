"""Reading what arrived, as a mail client and a verifying server would."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass

import dkim

from tests.stack import Stack


@dataclass(frozen=True)
class Arrived:
    """One copy: its envelope and its bytes."""

    reverse_path: str
    forward_path: str
    raw: bytes

    def header(self, name: str) -> str:
        """The unfolded value of the only field of this name."""
        head = self.raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        pattern = rb"(?im)^%s:(.*\r\n(?:[ \t].*\r\n)*)" % re.escape(name.encode())
        found: list[bytes] = re.findall(pattern, head)
        assert len(found) == 1, f"{len(found)} {name} fields"
        return str(found[0].replace(b"\r\n", b"").strip(), "utf-8")

    @property
    def one_click(self) -> str:
        """The only https or http URI of List-Unsubscribe."""
        [uri] = re.findall(r"<(https?://[^>]+)>", self.header("List-Unsubscribe"))
        return str(uri)


def mail(
    name: str, *, author: str = "sam@example.org", subject: str = "Hello"
) -> bytes:
    """A plain message; its Message-ID is made of the name."""
    return (
        f"From: Sam <{author}>\r\nTo: talk@lists.localhost\r\nSubject: {subject}\r\n"
        f"Message-ID: <{name}@example.org>\r\n"
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n"
        "Good morning.\r\n.a line with a dot\r\n"
    ).encode()


def send(
    stack: Stack, raw: bytes, to: Sequence[str], *, sender: str = "sam@example.org"
) -> dict[str, tuple[int, bytes]]:
    """Send one transaction; return the recipients that were refused."""
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, timeout=30) as client:
        return client.sendmail(sender, list(to), raw)


def arrived(stack: Stack, name: str = "") -> list[Arrived]:
    """The copies in the site's mailbox: all, or those of the mail of this name."""
    rows = stack.rows(
        "SELECT reverse_path, forward_path, raw FROM smtpd_copy ORDER BY id"
    )
    copies = [Arrived(path, to, bytes(raw)) for path, to, raw in rows]
    return [c for c in copies if not name or f"<{name}@".encode() in c.raw]


def is_quiet(stack: Stack) -> bool:
    """Whether every accepted post is frozen and every delivery at its end."""
    return not stack.count(
        "SELECT (SELECT count(*) FROM smtpd_delivery WHERE state = 'queued')"
        " + (SELECT count(*) FROM lists_post"
        "    WHERE state = 'accepted' AND fanned_out_at IS NULL)"
    )


def public_key(stack: Stack) -> bytes:
    """The DKIM record that the operator is told to publish."""
    zone = stack.manage("dnsrecords", "lists.localhost")
    [line] = [line for line in zone.splitlines() if "_domainkey" in line]
    return "".join(re.findall(r'"([^"]*)"', line)).encode()


def verifies(copy: Arrived, record: bytes) -> bool:
    """Whether the copy's first DKIM signature holds, by dkimpy."""
    return bool(dkim.verify(copy.raw, dnsfunc=lambda *_, **__: record))
