"""F20 to F23, F26: the next server says no, not yet, or nothing, while mail flows."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.faults.load import Load
from tests.faults.reconcile import Report
from tests.faults.scene import Scene, scene, seconds, store
from tests.faults.storm import Blow, Strike, plan
from tests.sink import Received
from tests.stack import wait_until

PACE = 0.3
LATER = ("EHLO", "MAIL", "DATA", "DOT")
# Rows that wait for their time; nobody has them in hand.
HURRY = """
UPDATE smtpd_delivery SET next_attempt_at = updated_at
WHERE state = 'queued' AND lease IS NULL AND next_attempt_at > updated_at
"""
FORGET = "UPDATE smtpd_destination SET backoff_until = NULL, failures = 0"
ENDS = "SELECT address, state FROM smtpd_delivery"
# Of the storm's own mail: what failed is reported to its sender, and that is sent.
SENT = """
SELECT count(*) FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
JOIN smtpd_message AS message ON message.id = outgoing.message_id
WHERE message.source = 'smtp' AND delivery.state = 'sent'
"""


def hurry(stage: Scene) -> bool:
    """Behind the site's back it is time to try again; whether all is at an end."""
    stage.stack.execute(HURRY)
    stage.stack.execute(FORGET)
    time.sleep(0.5)
    return stage.is_quiet()


def settle(stage: Scene, load: Load, *excuses: str) -> Report:
    """Reconcile without the five minutes between two attempts."""
    with stage.telling(load):
        wait_until(lambda: hurry(stage), 180, "all at an end")
    return stage.settle(load, most_doubled=None, excuses=frozenset(excuses))


def says(stage: Scene, told: str) -> dict[str, Strike]:
    """Have the server answer so at one stage, for a while."""

    def strike(blow: Blow) -> None:
        script = stage.sink.script
        if blow.name == "greeting":
            script.greeting = told
            time.sleep(blow.lasts)
            script.greeting = "220 sink ESMTP"
            return
        script.verbs[blow.name] = told
        time.sleep(blow.lasts)
        del script.verbs[blow.name]

    return dict.fromkeys(("greeting", *LATER), strike)


def test_f20_not_now_at_each_stage_is_tried_again(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        how = says(stage, "451 4.3.0 not now")
        kinds = dict.fromkeys(how, (0.2, 1.5))
        blows = plan(seed, seconds(seed, 8, 25), kinds)
        with stage.load(pace=PACE) as load:
            stage.storm(load, blows, how)
        report = settle(stage, load)
        assert report.doubled == report.ambiguous == 0, str(report)


def test_f21_no_fails_the_copy_and_never_the_others(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        how = says(stage, "554 5.7.1 no")
        kinds = dict.fromkeys(how, (0.2, 1.0))
        blows = plan(seed, seconds(seed, 8, 25), kinds)
        with stage.load(pace=PACE) as load:
            stage.storm(load, blows, how)
        report = settle(stage, load, "failed")
        assert report.excused["failed"], str(report)
        # Whoever was refused has no copy: each is sent, or failed, or neither.
        assert report.doubled == 0, str(report)
        assert report.arrived == stage.stack.count(SENT)


def test_f22_of_one_transaction_each_has_its_own_end(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        people = sorted(frozenset().union(*(place.owed for place in stage.places)))
        never = set(stage.chance.sample(people, len(people) // 10))
        later = set(stage.chance.sample(people, len(people) // 5)) - never
        stage.sink.script.rcpt.update(dict.fromkeys(never, "550 5.1.1 who?"))
        for to in later:
            stage.sink.script.rcpt[to] = ["450 4.2.0 later"] * 3
        with stage.load(pace=PACE) as load, stage.telling(load):
            time.sleep(seconds(seed, 8, 20))
            load.stop()
        report = settle(stage, load, "failed")
        assert report.doubled == 0, str(report)
        for to, state in stage.stack.rows(ENDS):
            assert state == ("failed" if to in never else "sent"), to
        assert not never & set(stage.sink.recipients())


@pytest.mark.brief
def test_f23_no_word_after_the_dot_is_one_copy_more(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        dropped = Counter[str]()

        def hang_up(copy: Received) -> None:
            if stage.chance.random() < 0.1:
                stage.sink.script.drop["DOT"] = 1
                dropped.update(copy.recipients)

        stage.sink.on_message = hang_up
        with stage.load(pace=PACE) as load, stage.telling(load):
            time.sleep(seconds(seed, 6, 20))
            load.stop()
        report = settle(stage, load)
        assert dropped, "it hung up on nobody"
        assert dropped.total() <= report.doubled <= report.ambiguous, str(report)


def test_f26_greylisted_and_then_accepted(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        script = stage.sink.script
        people = frozenset().union(*(place.owed for place in stage.places))
        script.rcpt.update(dict.fromkeys(people, "451 4.7.1 greylisted, come back"))
        with stage.load(pace=PACE) as load, stage.telling(load):
            time.sleep(seconds(seed, 6, 15))
            load.stop()
            assert not stage.sink.messages
            # Twice too early, as for a quarter of an hour.
            for _ in range(2):
                hurry(stage)
                time.sleep(2)
            assert not stage.sink.messages
            script.rcpt.clear()
        report = settle(stage, load)
        assert report.doubled == report.ambiguous == 0, str(report)
        assert report.promised == len(load.all()), str(report)
