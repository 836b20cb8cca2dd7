"""kill -9 of the listener around the final dot: a 250 is a promise kept."""

from __future__ import annotations

import random
import smtplib
import threading
import time
from functools import partial

import pytest

from tests.e2e.conversation import mail
from tests.stack import Stack, start_stack, wait_until

CLIENTS = 4


class Client(threading.Thread):
    """Sends one message after another until the server is gone."""

    def __init__(self, stack: Stack, name: str) -> None:
        super().__init__(daemon=True)
        self.stack = stack
        self.prefix = name
        self.tried: list[str] = []
        self.promised: list[str] = []

    def run(self) -> None:
        try:
            self._send_for_ever()
        except (OSError, smtplib.SMTPException):
            return

    def _send_for_ever(self) -> None:
        with smtplib.SMTP(
            "127.0.0.1", self.stack.smtp_port, "client.test", timeout=10
        ) as client:
            for number in range(1000):
                name = f"{self.prefix}-{number}"
                self.tried.append(name)
                client.sendmail("sam@example.org", ["talk@lists.localhost"], mail(name))
                self.promised.append(name)


def have_promised(clients: list[Client], goal: int) -> bool:
    return sum(len(client.promised) for client in clients) >= goal


def kill_rounds(rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    tried: set[str] = set()
    promised: set[str] = set()
    # No broker and no worker: what is lost here is lost by the listener.
    with start_stack(parts=("smtpd",)) as stack:
        for number in range(rounds):
            clients = [Client(stack, f"r{number}-c{n}") for n in range(CLIENTS)]
            for client in clients:
                client.start()
            # Somewhere around a dot: after some promises, and a little more.
            goal = chance.randrange(1, 30)
            wait_until(partial(have_promised, clients, goal), 20, "promises")
            time.sleep(chance.uniform(0, 0.02))
            stack.kill("smtpd")
            for client in clients:
                client.join(15)
                tried.update(client.tried)
                promised.update(client.promised)
            stack.start("smtpd")
            stack.wait_ready("smtpd")
        rows = stack.rows("SELECT msg_id FROM smtpd_message")
        kept = [msg_id.strip("<>").partition("@")[0] for (msg_id,) in rows]
        assert len(promised) > rounds
        assert promised <= set(kept)
        assert set(kept) <= tried
        assert len(kept) == len(set(kept))
        # Never half a message: each has its post.
        assert stack.count("SELECT count(*) FROM lists_post") == len(kept)


@pytest.mark.e2e
def test_a_listener_killed_at_random_keeps_its_promises() -> None:
    kill_rounds(10, seed=1)


@pytest.mark.faults
def test_a_listener_killed_fifty_times_keeps_its_promises() -> None:
    kill_rounds(50, seed=2)
