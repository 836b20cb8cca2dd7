"""kill -9 of the workers in the middle of a post: nobody is left out."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.conversation import is_quiet, mail, send
from tests.sink import Script, Sink
from tests.stack import start_stack, wait_until

pytestmark = pytest.mark.e2e
MEMBERS = [f"member{number}@people.test" for number in range(2000)]
# What two processes may have in their hands unrecorded: see queue/worker.py.
IN_FLIGHT = 2 * 150


def test_three_killed_workers_lose_nobody() -> None:
    parts = ("broker", "smtpd", "worker")
    with (
        Sink(Script(latency=0.005)) as sink,
        start_stack(relay=sink.relay, parts=parts, env={"LEASE_SECONDS": "4"}) as stack,
    ):
        stack.manage("addlist", "crowd@lists.localhost", "--set", "posters=anyone")
        stack.manage(
            "addmembers", "crowd@lists.localhost", "-", stdin="\n".join(MEMBERS)
        )
        assert not send(stack, mail("crowd"), ["crowd@lists.localhost"])
        for reached in (200, 700, 1300):
            sink.wait_for(reached, 60)
            stack.kill("worker")
            stack.start("worker")
        wait_until(lambda: is_quiet(stack), 120, "all at an end")
        copies = Counter(sink.recipients())
        assert copies.keys() == set(MEMBERS)
        doubled = sum(copies.values()) - len(copies)
        assert doubled <= 3 * IN_FLIGHT
        # Every second copy is owned up to in the ledger.
        counted = stack.count("SELECT sum(ambiguous) FROM smtpd_delivery")
        assert counted >= doubled
        sent = "SELECT count(*) FROM smtpd_delivery WHERE state = 'sent'"
        assert stack.count(sent) == len(MEMBERS)
