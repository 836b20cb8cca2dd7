"""F01, F02: kill -9 of the listener before and after its 250."""

from __future__ import annotations

import threading
import time

import pytest

from tests.faults.load import Submission
from tests.faults.scene import Scene, scene, seconds, store
from tests.faults.storm import plan
from tests.stack import wait_until

pytestmark = pytest.mark.brief


def test_f01_killed_before_the_250_it_keeps_nothing_half(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        blows = plan(seed, seconds(seed, 8, 15), {"kill": (0.0, 0.4)}, every=(0.2, 1.5))
        # 1-50 ms after somebody's dot: a commit may be under way.
        dot = threading.Event()
        with stage.load(pace=0.03, after_dot=lambda _: dot.set()) as load:

            def kill(blow: object) -> None:
                dot.clear()
                dot.wait(5)
                time.sleep(stage.chance.uniform(0, 0.05))
                stage.kill_listener(stage.blows[0])

            # On a slow machine each of the others may be hit.
            wait_until(load.promised, 30, "somebody is promised something")
            stage.storm(load, blows, {"kill": kill})
        report = stage.settle(load)
        assert report.open, "no kill hit a message on its way"


def test_f02_killed_after_the_250_it_has_everything(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        KillAfterReply(stage).run(4 if seed == 0 else 15)


class KillAfterReply:
    """The client that reads 250 kills the listener before it does another thing."""

    def __init__(self, stage: Scene) -> None:
        self.stage = stage
        self.lock = threading.Lock()
        self.killed = threading.Event()
        self.left = 0

    def run(self, rounds: int) -> None:
        load = self.stage.load(pace=0.03, after_reply=self.hear)
        with load, self.stage.telling(load):
            for _ in range(rounds):
                self.killed.clear()
                self.left = self.stage.chance.randrange(1, 8)
                assert self.killed.wait(30), "nobody was promised anything"
                self.stage.start_listener()
            load.stop()
        self.stage.settle(load)

    def hear(self, submission: Submission) -> None:
        if not submission.is_promised:
            return
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.stage.stack.kill("smtpd")
                self.killed.set()
