"""F13, F14: PostgreSQL restarts, crashes and hangs. A sender hears 451 meanwhile."""

from __future__ import annotations

import time

import psycopg
import pytest

from tests.faults.load import Load
from tests.faults.scene import need_postgres, scene, seconds
from tests.faults.storm import Blow, plan

# Longer than a client waits for a reply.
HANGS = (32.0, 40.0)


def only_451(load: Load) -> None:
    """Whoever was not promised anything heard that it is our trouble."""
    others = [s for s in load.all() if not s.is_promised]
    for submission in others:
        assert submission.text.startswith("451 4.3.0"), submission


@pytest.mark.brief
def test_f13_postgresql_stopped_and_killed_under_load(seed: int) -> None:
    need_postgres()
    with scene("postgres", seed) as stage:
        pid = stage.stack.processes["smtpd"].pid
        kinds = dict.fromkeys(("fast", "immediate", "crash"), (0.2, 2.0))
        blows = plan(seed, seconds(seed, 8, 25), kinds, every=(0.5, 3.0))
        with stage.load() as load:
            stage.storm(load, blows, dict.fromkeys(kinds, stage.stop_database))
        # What was sent and not recorded goes out twice.
        report = stage.settle(load, most_doubled=None)
        assert report.refused + report.open, "nobody noticed"
        only_451(load)
        assert stage.stack.processes["smtpd"].poll() is None
        assert stage.stack.processes["smtpd"].pid == pid


def test_f14_postgresql_hangs_and_nobody_waits_for_ever(seed: int) -> None:
    need_postgres()
    with scene("postgres", seed) as stage:

        def hang(blow: Blow) -> None:
            assert stage.postgres is not None
            with stage.postgres.hung():
                time.sleep(blow.lasts)

        def lock(blow: Blow) -> None:
            """Somebody's transaction holds the table of messages."""
            assert stage.postgres is not None
            with psycopg.connect(stage.postgres.url) as connection:
                connection.execute("LOCK TABLE smtpd_message IN ACCESS EXCLUSIVE MODE")
                time.sleep(blow.lasts)

        how = {"SIGSTOP": hang, "LOCK TABLE": lock}
        blows = plan(seed, 1, dict.fromkeys(how, HANGS))
        with stage.load() as load:
            stage.storm(load, blows, how)
        stage.settle(load, most_doubled=None)
        only_451(load)
