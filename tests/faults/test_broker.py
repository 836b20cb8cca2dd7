"""F09, F10: Redis is gone, or forgets. It held no truth."""

from __future__ import annotations

import time

import pytest

from tests.faults.scene import need_postgres, scene, seconds
from tests.faults.storm import Blow, plan
from tests.stack import ALL, wait_until


def test_f09_without_redis_mail_is_taken_and_sent_later(seed: int) -> None:
    need_postgres()
    with scene("postgres", seed, parts=ALL) as stage:
        stack = stage.stack

        def away(blow: Blow) -> None:
            assert stage.redis is not None
            stage.redis.kill()
            began = time.monotonic()
            wait_until(lambda: stack.get("/healthz")[0] == 503, 20, "health says so")
            time.sleep(max(0.0, began + blow.lasts - time.monotonic()))
            stage.redis.start()
            wait_until(lambda: stack.get("/healthz")[0] == 200, 20, "health is back")

        with stage.load() as load:
            stage.storm(load, plan(seed, 1, {"no Redis": (15, 40)}), {"no Redis": away})
        report = stage.settle(load)
        assert report.promised == len(load.all()), str(report)


@pytest.mark.brief
def test_f10_redis_forgets_everything_again_and_again(seed: int) -> None:
    need_postgres()
    with scene("postgres", seed) as stage:
        blows = plan(
            seed, seconds(seed, 10, 30), {"FLUSHALL": (0, 0)}, every=(0.3, 3.0)
        )
        with stage.load() as load:
            stage.storm(load, blows, {"FLUSHALL": stage.flush_broker})
        report = stage.settle(load)
        assert report.promised == len(load.all()), str(report)
