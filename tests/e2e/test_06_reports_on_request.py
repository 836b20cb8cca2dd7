"""A sender asks to hear, and hears, from the whole product (RFC 3461)."""

from __future__ import annotations

import smtplib

import pytest

from tests.e2e.conversation import Arrived, arrived, mail
from tests.smtpd.reports.reading import read
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e

ASKED = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Pat+2Bx@lists.localhost"]


def reports(stack: Stack) -> list[Arrived]:
    return [
        copy
        for copy in arrived(stack)
        if copy.forward_path == "sam@example.org" and not copy.reverse_path
    ]


def test_success_is_told_where_the_next_server_does_not(stack: Stack) -> None:
    stack.manage("addalias", "pat@lists.localhost", "pat@example.org")
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, timeout=30) as client:
        client.ehlo("client.test")
        assert client.has_extn("DSN")
        assert client.mail("sam@example.org", ["RET=HDRS", "ENVID=one"])[0] == 250
        assert client.rcpt("pat@lists.localhost", ASKED)[0] == 250
        assert client.data(mail("asked"))[0] == 250
    [copy] = wait_until(lambda: reports(stack), 30, "the report")
    report = read(copy.raw)
    assert report.recipient["Action"] == "relayed"
    assert report.recipient["Original-Recipient"] == "rfc822; Pat+x@lists.localhost"
    assert report.message["Original-Envelope-Id"] == "one"
    [forwarded] = [c for c in arrived(stack, "asked") if c.reverse_path]
    assert forwarded.forward_path == "pat@example.org"
