"""F04, F07, F08, F38: workers are killed, told twice, kept waiting and stopped."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from functools import partial
from typing import Any

import pytest

from tests.faults.killing import Killer
from tests.faults.scene import LEASE, Scene, need_postgres, scene, seconds, store
from tests.faults.storm import Blow, plan
from tests.sink import Script, Sink
from tests.stack import wait_until

# The next server takes its time: there is always something in hand.
SLOW = 0.02
READY = " ready.\n"
# Behind their start. Two to four seconds where nothing else runs: docs/faults.md.
GO_ON_WITHIN = 15


@pytest.mark.brief
def test_f04_killed_in_the_middle_they_leave_nobody_out(seed: int) -> None:
    with scene(store(seed), seed, sink=Sink(Script(latency=SLOW))) as stage:
        killer = Killer(stage)
        kinds = dict.fromkeys(killer.how, (0.0, 1.0))
        blows = plan(seed, seconds(seed, 8, 60), kinds, every=(1.0, 4.0))
        with stage.load(pace=0.3) as load:
            stage.storm(load, blows, killer.how)
        report = stage.settle(load, most_doubled=None)
        assert report.ambiguous, "no kill hit a row in hand"
        assert report.promised == len(load.all()), str(report)


@pytest.mark.brief
def test_f07_told_ten_times_they_send_once(seed: int) -> None:
    need_postgres()
    with scene("postgres", seed) as stage:
        told: set[str] = set()
        blows = plan(seed, seconds(seed, 8, 30), {"ten times": (0.2, 0.8)})
        with stage.load(pace=0.3) as load:
            repeat = partial(repeat_tasks, stage, told)
            stage.storm(load, blows, {"ten times": repeat})
        assert told, "nothing was queued"
        report = stage.settle(load)
        assert report.ambiguous == 0, str(report)


def repeat_tasks(stage: Scene, known: set[str], blow: Blow) -> None:
    """Have ten of each new task that waits while the workers stand still."""
    assert stage.redis is not None
    group = stage.stack.processes["worker"].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        time.sleep(blow.lasts)
        with stage.redis.client() as redis:
            for raw in redis.lrange("celery", 0, -1):
                task = json.loads(raw)
                number = task["headers"]["id"]
                # What has copies is not copied again: that would be hundreds.
                if number not in known:
                    redis.rpush("celery", *(again(task) for _ in range(9)))
                    known.add(number)
    finally:
        os.killpg(group, signal.SIGCONT)


def again(task: dict[str, Any]) -> str:
    """The same in an envelope of its own, as a second publisher would have it."""
    own = {"delivery_tag": str(uuid.uuid4())}
    return json.dumps(task | {"properties": task["properties"] | own})


def test_f08_a_slow_server_gets_one_copy(seed: int) -> None:
    """Slower than the lease, and than the broker would wait if it had to."""
    latency = 2.5 * LEASE
    with scene(store(seed), seed, sink=Sink(Script(latency=latency))) as stage:
        with stage.load(clients=1, pace=1.5) as load, stage.telling(load):
            time.sleep(8)
            load.stop()
            # A task ends before its mail does: the broker has nothing to give to
            # somebody else. What waits for a free process is there for a moment.
            if stage.redis is not None:
                with stage.redis.client() as redis:
                    held = set(redis.hkeys("unacked"))
                    wait_until(
                        lambda: not held & set(redis.hkeys("unacked")),
                        latency / 2,
                        "no task is as slow as the server",
                    )
        # The copies come at the pace of the next server.
        stage.sink.script.latency = latency / 2
        report = stage.settle(load, seconds=600)
        assert report.ambiguous == 0, str(report)


@pytest.mark.brief
def test_f38_stopped_and_started_they_go_on(seed: int) -> None:
    with scene(store(seed), seed, sink=Sink(Script(latency=SLOW))) as stage:
        killer = Killer(stage)

        def stop(blow: Blow) -> None:
            killer.wait()
            assert stage.stack.stop("worker") == 0
            time.sleep(blow.lasts)
            start_worker(stage)
            killer.copy.clear()
            wait_until(killer.copy.is_set, GO_ON_WITHIN, "they go on")

        blows = plan(seed, seconds(seed, 8, 60), {"stop": (0.0, 1.0)})
        with stage.load(pace=0.3) as load:
            stage.storm(load, blows, {"stop": stop})
        report = stage.settle(load)
        # Nothing was cut off, and nothing waited for its lease to run out.
        assert report.ambiguous == 0, str(report)


def start_worker(stage: Scene) -> None:
    """Until it reads the queue; how long Python takes to start is not ours."""
    log = stage.stack.log("worker")
    before = log.read_text().count(READY)
    stage.stack.start("worker")
    wait_until(lambda: log.read_text().count(READY) > before, 60, "a worker is ready")
