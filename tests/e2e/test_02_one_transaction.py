"""One transaction to all kinds of addresses: each answered, each served once."""

from __future__ import annotations

import smtplib
from collections import Counter

import pytest

from tests.e2e.conversation import arrived, is_quiet, mail
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e


def test_a_list_an_alias_an_alias_of_a_list_and_nobody(stack: Stack) -> None:
    stack.manage("addalias", "people@lists.localhost", "pat@example.org", "kim@x.test")
    stack.manage("addalias", "all@lists.localhost", "talk@lists.localhost")
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, timeout=30) as client:
        client.ehlo("client.test")
        assert client.mail("sam@example.org")[0] == 250
        codes = [
            client.rcpt(f"{name}@lists.localhost")[0]
            for name in ("talk", "people", "all", "nobody")
        ]
        assert codes == [250, 250, 250, 550]
        code, text = client.data(mail("mixed"))
        assert code == 250
        assert b"queued as" in text
    wait_until(lambda: is_quiet(stack), 30, "copies")
    copies = arrived(stack, "mixed")
    counts = Counter(copy.forward_path.lower() for copy in copies)
    assert {"pat@example.org", "kim@x.test", "tove@example.net"} <= counts.keys()
    assert set(counts.values()) == {1}
    [forwarded] = [c for c in copies if c.forward_path == "kim@x.test"]
    assert forwarded.reverse_path == "sam@example.org"
    assert forwarded.raw.endswith(mail("mixed"))


def test_strangers_relay_nothing(stack: Stack) -> None:
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, timeout=30) as client:
        client.ehlo("client.test")
        client.mail("sam@example.org")
        code, text = client.rcpt("victim@elsewhere.test")
        assert (code, text[:5]) == (550, b"5.7.1")
        assert client.rcpt("bounces+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@lists.localhost")[
            0
        ] == (550)
        assert client.docmd("RCPT", "TO:<Postmaster>")[0] == 250
