"""F05, F06: workers that die with something in their hands, and by its fault."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes

import psycopg
import pytest

from tests.e2e.conversation import mail, send
from tests.faults.places import DOMAIN
from tests.faults.scene import Scene, scene, store
from tests.sink import Received
from tests.stack import wait_until
from tests.up import direct_children

CREW = f"crew@{DOMAIN}"
WAITING = "SELECT address FROM smtpd_delivery WHERE state = 'queued'"
DOUBTFUL = "SELECT address FROM smtpd_delivery WHERE ambiguous = 1"
ASIDE = """
SELECT message.msg_id, delivery.state, delivery.text
FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
JOIN smtpd_message AS message ON message.id = outgoing.message_id
WHERE delivery.state <> 'sent'
"""


@pytest.mark.brief
def test_f05_killed_behind_the_250_they_own_up_to_each_copy(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        for number in range(8 if seed else 2):
            with stage.telling():
                kill_behind_250(stage, f"round{number}")


def kill_behind_250(stage: Scene, name: str) -> None:
    """One post, a kill between the sink's 250 and the record of it."""
    with contextlib.ExitStack() as locks:
        stage.sink.messages.clear()
        left = stage.chance.randrange(12)
        doubtful: set[str] = set()

        def lock(copy: Received) -> None:
            """From this copy on nothing is recorded; it is not answered yet."""
            nonlocal left
            if left == 0:
                doubtful.update(locks.enter_context(nothing_recorded(stage)))
            left -= 1

        stage.sink.on_message = lock
        assert not send(stage.stack, mail(name), [CREW])
        stage.sink.wait_for(12, 60)
        stage.sink.on_message = lambda copy: None
        # Each has its 250, and the worker wants to write that down.
        time.sleep(0.2)
        stage.stack.kill("worker")
        forget_statements(stage)
    before = stage.stack.count(f"SELECT count(*) FROM ({DOUBTFUL}) AS known")
    assert doubtful
    stage.stack.start("worker")
    wait_until(stage.is_quiet, 60, "all at an end")
    copies = Counter(stage.sink.recipients())
    # Twice is what nobody could know of, and nothing else.
    assert {to for to, count in copies.items() if count == 2} == doubtful
    assert sorted(copies.values())[-1] == 2
    assert len(copies) == 12
    count = stage.stack.count(f"SELECT count(*) FROM ({DOUBTFUL}) AS known")
    assert count - before == len(doubtful)
    # An operator sees it.
    told = stage.stack.manage("trace", f"<{name}@example.org>", "--json")
    [story] = json.loads(told)
    shown = {row["address"] for row in story["deliveries"] if row["ambiguous"] == 1}
    assert shown == doubtful
    # The second copy is the first one again.
    keys = {identity(copy) for copy in stage.sink.messages}
    assert len(keys) == 1


def identity(copy: Received) -> tuple[str, str, str]:
    """What a receiver tells a second copy by."""
    message = message_from_bytes(copy.raw)
    return message["Message-ID"], message["Date"], str(message.get_payload())


@contextlib.contextmanager
def nothing_recorded(stage: Scene) -> Iterator[set[str]]:
    """Have a transaction in the way of the ledger; who waits there."""
    if stage.postgres is None:
        path = stage.stack.env["DATABASE_URL"].removeprefix("sqlite:///")
        with contextlib.closing(
            sqlite3.connect(path, timeout=20, check_same_thread=False)
        ) as database:
            database.execute("BEGIN IMMEDIATE")
            yield {to for (to,) in database.execute(WAITING)}
        return
    with psycopg.connect(stage.postgres.url) as connection:
        yield {to for (to,) in connection.execute(f"{WAITING} FOR UPDATE")}
        connection.rollback()


def forget_statements(stage: Scene) -> None:
    """PostgreSQL would still carry out what a dead client asked it for."""
    if stage.postgres is None:
        return
    with psycopg.connect(stage.postgres.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock'"
        )


def test_f06_what_kills_its_workers_is_put_aside(seed: int) -> None:
    """Whoever sends the poison dies of it, before the reply to its dot."""
    with scene(store(seed), seed, env={"WORKERS": "1"}) as stage:
        deaths: list[float] = []

        def poison(copy: Received) -> None:
            if b"<poison@example.org>" in copy.raw:
                parent = stage.stack.processes["worker"].pid
                for child in direct_children(parent):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                deaths.append(time.monotonic())

        stage.sink.on_message = poison
        with stage.load(pace=0.3) as load, stage.telling(load):
            time.sleep(stage.chance.uniform(0.5, 2))
            assert not send(stage.stack, mail("poison"), [f"alias0@{DOMAIN}"])
            wait_until(lambda: len(deaths) >= 3, 60, "three attempts")
            load.stop()
            wait_until(stage.is_quiet, 90, "all at an end")
        assert len(deaths) == 3
        aside = stage.stack.rows(ASIDE)
        assert {state for _, state, _ in aside} == {"quarantined"}
        assert all(text for _, _, text in aside)
        assert {msg_id for msg_id, _, _ in aside} == {"<poison@example.org>"}
        # And it is over.
        stage.sink.messages.clear()
        assert not send(stage.stack, mail("later"), [CREW])
        stage.sink.wait_for(12, 60)
