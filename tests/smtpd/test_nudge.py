"""A nudge is published behind the commit, or not at all, and never waits."""

from __future__ import annotations

import time

import pytest
from celery import current_app
from django.db import transaction
from kombu import Connection, Queue

from smtpd.queue.nudge import nudge
from smtpd.queue.tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)
DESTINATION = "nudged.test"


def published(seconds: float = 0.4) -> list[str]:
    """The arguments of what came out within that time."""
    found: list[str] = []
    until = time.monotonic() + seconds
    with Connection("memory://") as connection:
        queue = Queue(current_app.conf.task_default_queue)(connection.default_channel)
        queue.declare()
        while time.monotonic() < until:
            message = queue.get(no_ack=True)
            if message is None:
                time.sleep(0.01)
            elif message.payload[0]:
                found.append(str(message.payload[0][0]))
    return [argument for argument in found if argument.endswith(DESTINATION)]


def test_nudge_comes_after_the_commit() -> None:
    published(0)
    with transaction.atomic():
        nudge(deliver, DESTINATION)
        assert published(0.1) == []
    assert published() == [DESTINATION]


def test_rolled_back_nudge_never_comes() -> None:
    with transaction.atomic():
        nudge(deliver, f"lost.{DESTINATION}")
        transaction.set_rollback(True)
    assert published() == []


def test_many_equal_nudges_become_few_and_the_last_is_not_lost() -> None:
    for _ in range(500):
        nudge(deliver, f"busy.{DESTINATION}")
        nudge(deliver, f"other.{DESTINATION}")
    found = published(0.6)
    assert set(found) == {f"busy.{DESTINATION}", f"other.{DESTINATION}"}
    assert len(found) < 30
