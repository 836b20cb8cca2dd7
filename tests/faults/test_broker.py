"""F09 to F11: Redis is gone, forgets, or says nothing. It held no truth."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.scene import Scene, need_postgres, scene, seconds
from tests.faults.stores import Redis
from tests.faults.storm import Blow, plan
from tests.stack import ALL, wait_until

# A worker tries to connect every five seconds...
HEARD_WITHIN = 9
# ...and has what came in meanwhile to fan out, on a machine with other work.
MOVES_WITHIN = 30


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


def test_f11_it_comes_back_and_mail_moves(seed: int) -> None:
    """Whatever it did meanwhile, and however long the workers had to do without."""
    need_postgres()
    with scene("postgres", seed) as stage:
        redis = stage.redis
        assert redis is not None

        def restart(blow: Blow) -> None:
            for _ in range(3):
                redis.kill()
                time.sleep(blow.lasts)
                redis.start()

        def hang(blow: Blow) -> None:
            with redis.hung():
                time.sleep(blow.lasts)

        def cut(blow: Blow) -> None:
            with redis.client() as client:
                client.client_kill_filter(_type="normal")

        how = {
            "restarted three times": restart,
            "away": stage.stop_broker,
            "hangs": hang,
            "connections cut": cut,
            "FLUSHALL": stage.flush_broker,
        }
        kinds = dict.fromkeys(how, (0.0, 3.0)) | {"away": (43, 45), "hangs": (5, 25)}
        with stage.load(pace=0.3) as load:

            def strike(blow: Blow) -> None:
                how[blow.name](blow)
                wait_until(lambda: is_heard(redis), HEARD_WITHIN, f"heard: {blow}")
                wait_until(moves(stage), MOVES_WITHIN, f"moves: {blow}")

            stage.storm(load, plan(seed, 1, kinds), dict.fromkeys(how, strike))
        report = stage.settle(load)
        assert report.promised == len(load.all()), str(report)


def is_heard(redis: Redis) -> bool:
    """Whether a worker waits for tasks there."""
    with redis.client() as client:
        return any(each["cmd"] == "brpop" for each in client.client_list())


def moves(stage: Scene) -> Callable[[], bool]:
    """Whether what comes in from now on is fanned out: a task does that."""
    (last,) = stage.stack.rows("SELECT COALESCE(max(id), 0) FROM lists_post")[0]
    later = (
        "SELECT count(*) FROM lists_post WHERE id > %s AND fanned_out_at IS NOT NULL"
    )
    return lambda: bool(stage.stack.count(later, last))
