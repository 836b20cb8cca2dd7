"""F39: several listeners, workers and clocks on one PostgreSQL and one Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import pytest

from tests.faults.killing import Killer
from tests.faults.places import DOMAIN, Place, call, founding, people
from tests.faults.reconcile import Report
from tests.faults.scene import Scene, need_postgres, scene, seconds
from tests.faults.storm import Strike, plan
from tests.sink import Script, Sink
from tests.stack import Stack, start_stack, wait_until

OWNER = "olga@example.org"
# Nobody is at these; the next server says so.
GONE = frozenset({"gone0@people.test", "gone1@people.test"})
FRAIL = Place(f"frail@{DOMAIN}", 6, people("frail", 10), GONE)
BROKEN = Place(f"broken@{DOMAIN}", 6, frozenset({"gone0@people.test"}))
# A moderator has to look: no copies, and a notice for each of the first.
CLOSED = Place(f"closed@{DOMAIN}", 3, frozenset())
ENDS = "SELECT address, state FROM smtpd_delivery"
STOPPED = "SELECT count(*) FROM lists_subscription WHERE suspended_by = 'bounces'"
SHARED = ("DATABASE_URL", "BROKER_URL", "BASE_URL", "LEASE_SECONDS")


@contextlib.contextmanager
def machine(stage: Scene, *parts: str, **env: str) -> Iterator[Stack]:
    """One more for a site: the same stores, and a folder and ports of its own."""
    shared = {name: stage.stack.env[name] for name in SHARED} | env
    relay = stage.sink.relay
    with start_stack(relay=relay, parts=parts, env=shared) as stack:
        stage.machines.append(stack)
        yield stack


def furnish(stage: Scene) -> None:
    """A list that loses a member, an alias of nobody, a list that asks first."""
    stage.sink.script.rcpt.update(dict.fromkeys(GONE, "550 5.1.1 who?"))
    frail = founding(
        stage.stack, FRAIL.address, FRAIL.owed | GONE, "bounce_limit=1", owner=OWNER
    )
    settings = ("posters=members", "others=hold")
    closed = founding(stage.stack, CLOSED.address, (), *settings, owner=OWNER)
    broken = f"'addalias', {BROKEN.address!r}, *{sorted(BROKEN.owed)}"
    call(stage.stack, (*frail, *closed, broken))
    owned = (FRAIL.address, FRAIL.weight, FRAIL.owed | {OWNER}, FRAIL.may)
    stage.places = [*stage.places, Place(*owned), BROKEN, CLOSED]


@pytest.mark.brief
def test_f39_three_machines_share_the_work_and_lose_none(seed: int) -> None:
    """Two listen, three send, and each has a clock; one after another breaks."""
    need_postgres()
    # The same key: what one has signed, the others must read.
    env = {"SECRET_KEY": f"seed {seed}: {'x' * 50}", "BOUNCE_WAIT_MINUTES": "0"}
    sink = Sink(Script(latency=0.02))
    with scene("postgres", seed, env=env, sink=sink) as stage:
        furnish(stage)
        with (
            machine(stage, "smtpd", "worker", **env) as second,
            machine(stage, "worker", **env) as third,
        ):
            how = faults(stage, second, third)
            names = list(how) if seed else stage.chance.sample(list(how), 5)
            kinds = dict.fromkeys(names, (0.1, 1.0))
            blows = plan(seed, seconds(seed, 8, 45), kinds, every=(0.3, 2.0))
            with stage.load(pace=0.4, others=[second.smtp_port]) as load:
                stage.storm(load, blows, how)
            with stage.telling(load):
                all_clocks_at_once(stage)
                wait_until(
                    lambda: stage.stack.count(STOPPED) == len(GONE), 90, "bounces count"
                )
            report = stage.settle(
                load, most_doubled=None, excuses=frozenset({"failed"}), seconds=120
            )
            with stage.telling(load):
                judge(stage, report)


def faults(stage: Scene, second: Stack, third: Stack) -> dict[str, Strike]:
    """F01, F04, F10, F09 and F13, wherever there is something to break."""
    killer = Killer(stage)
    how: dict[str, Strike] = dict.fromkeys(
        ("fast", "immediate", "crash"), stage.stop_database
    )
    how |= {"FLUSHALL": stage.flush_broker, "no Redis": stage.stop_broker}
    for number, one in enumerate((stage.stack, second, third), 1):
        how |= killer.at(one, f" {number}")
    for number, one in enumerate((stage.stack, second), 1):
        how[f"kill listener {number}"] = partial(stage.kill_listener, machine=one)
    return how


def all_clocks_at_once(stage: Scene) -> None:
    """None knows what another one has just sent."""
    machines = (stage.stack, *stage.machines)
    for one in machines:
        one.kill("worker")
    assert stage.redis is not None
    stage.redis.flush()
    for one in machines:
        one.start("worker")


def judge(stage: Scene, report: Report) -> None:
    """What is at no end but sent is nobody's; and all of it was told, once."""
    for to, state in stage.stack.rows(ENDS):
        assert state == ("failed" if to in GONE else "sent"), f"{to}: {state}"
    kinds = [what[1] for what in report.told.news]
    assert "failed" in kinds, "nobody was told of a failure"
    subjects = [what[2] for what in report.told.news if what[1] == "notice"]
    # Of a held post, and of each member that was stopped.
    stopped = [subject for subject in subjects if "gone" in subject]
    assert len(stopped) == len(GONE), subjects
    assert len(subjects) > 2 * len(GONE), subjects
