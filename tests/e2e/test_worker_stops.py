"""A worker that is told to end, with a task on its way to one of its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection

from tests.stack import Stack, start_stack, wait_until
from tests.up import direct_children

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """As a process that the machine has no time for."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def tasks_given(stack: Stack) -> int:
    """Tasks that a worker has from the broker and that no process has begun."""
    with Connection(stack.env["BROKER_URL"]) as connection:
        # Kombu's types know of no broker in particular.
        channel: Any = connection.default_channel
        return int(channel.client.hlen("unacked"))


def test_a_task_that_nobody_waits_for_any_more_delays_no_end() -> None:
    with start_stack(parts=("broker", "worker"), env={"WORKERS": "1"}) as stack:
        worker, log = stack.processes["worker"], stack.log("worker")
        wait_until(lambda: "ready." in log.read_text(), 60, "the worker is ready")
        (child,) = direct_children(worker.pid)
        wait_until(lambda: not tasks_given(stack), 20, "the first tasks are done")
        with standing_still(child):
            # The clock sends one every five seconds.
            wait_until(lambda: tasks_given(stack), 20, "a task is on its way")
            worker.terminate()
            wait_until(lambda: "Warm shutdown" in log.read_text(), 10)
            time.sleep(1)
        assert worker.wait(15) == 0
