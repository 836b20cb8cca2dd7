"""RELAY=mx: no relay in between, and a dead domain is nobody else's matter."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.dns import Dns
from tests.e2e.conversation import mail, send
from tests.sink import Sink
from tests.stack import free_port, start_stack, wait_until

pytestmark = pytest.mark.e2e
LIST = "crowd@lists.localhost"
PARTS = ("broker", "smtpd", "worker")
# In the order of their names the dead domain is asked before the fine one.
TWO, DEAD, FINE = "backup.test", "dead.test", "fine.test"


def people(domain: str) -> list[str]:
    return [f"member{at}@{domain}" for at in range(40)]


def test_each_domain_gets_its_copies_and_the_dead_one_waits() -> None:
    port = free_port()
    with (
        Dns() as dns,
        Sink(host="127.0.0.2", port=port) as second,
        Sink(host="127.0.0.3", port=port) as fine,
        start_stack(
            relay="mx",
            parts=PARTS,
            env={
                "DNS_SERVER": dns.address,
                "MX_PORT": str(port),
                "MX_PRIVATE": "1",
                "RELAY_TLS": "none",
            },
        ) as stack,
    ):
        dns.add(TWO, "MX", f"20 mx2.{TWO}.", f"10 mx1.{TWO}.")
        # Nobody listens at .4 and .5.
        dns.add(f"mx1.{TWO}", "A", "127.0.0.4")
        dns.add(f"mx2.{TWO}", "A", second.host)
        dns.add(DEAD, "A", "127.0.0.5")
        dns.add(FINE, "MX", f"10 mx.{FINE}.")
        dns.add(f"mx.{FINE}", "A", fine.host)
        stack.manage("addlist", LIST, "--set", "posters=anyone")
        # A member of ours, who has no need of DNS.
        stack.manage("addalias", "own@lists.localhost", f"olga@{FINE}")
        members = [*people(TWO), *people(DEAD), *people(FINE), "own@lists.localhost"]
        stack.manage("addmembers", LIST, "-", stdin="\n".join(members))

        assert not send(stack, mail("straight"), [LIST])
        second.wait_for(40, 60)
        fine.wait_for(41, 60)

        waiting = "SELECT address FROM smtpd_delivery WHERE state = 'queued'"
        wait_until(lambda: len(stack.rows(waiting)) == 40, 30, "the others recorded")
        assert {address for (address,) in stack.rows(waiting)} == set(people(DEAD))
        assert Counter(second.recipients()) == Counter(people(TWO))
        assert Counter(fine.recipients()) == Counter([*people(FINE), f"olga@{FINE}"])
        told = "SELECT failures, backoff_until IS NULL FROM smtpd_destination"
        rows = stack.rows(f"{told} WHERE name = %s", DEAD)
        assert rows == [(1, False)]
        assert stack.count("SELECT count(*) FROM smtpd_destination") == 1
        assert stack.count("SELECT count(*) FROM lists_bounce") == 0

        with Sink(host="127.0.0.5", port=port) as alive:
            stack.execute("UPDATE smtpd_destination SET backoff_until = NULL")
            alive.wait_for(40, 60)
            assert Counter(alive.recipients()) == Counter(people(DEAD))
        wait_until(lambda: not stack.rows(waiting), 30, "all at an end")
