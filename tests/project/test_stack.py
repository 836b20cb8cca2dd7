"""The stage itself: a site that starts, works and leaves nothing behind."""

import smtplib

import pytest

from tests.stack import Stack, start_stack, wait_until

pytestmark = pytest.mark.e2e
SENT = 'folkmoot_deliveries{lane="bulk",state="sent"} 26.0'

MAIL = (
    b"From: Sam <sam@example.org>\r\nSubject: Hello\r\n"
    b"Message-ID: <1@example.org>\r\n\r\nHi.\r\n"
)


def send(stack: Stack, to: str) -> None:
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, timeout=20) as client:
        client.sendmail("sam@example.org", [to], MAIL)


def test_mail_to_the_demonstration_reaches_everybody() -> None:
    with start_stack() as stack:
        send(stack, "talk@lists.localhost")
        copies = "SELECT count(*) FROM smtpd_copy"
        wait_until(lambda: stack.count(copies) == 26, 60, "26 copies")
        # A copy is there a moment before its row says so.
        wait_until(lambda: SENT in stack.get("/metrics")[1], 20, SENT)
