"""F16, F18: the disk is full, or does not write what it was given."""

from __future__ import annotations

import time

import pytest

from tests.faults.client import Client
from tests.faults.disk import filled, need_strace, small_disk, tampered_sync
from tests.faults.load import Load
from tests.faults.scene import Scene, need_postgres, scene, seconds, store
from tests.faults.storm import Blow, plan

MEGABYTES = 256
# Less than the listener wants to see free: Limits.free_space.
LITTLE = 32 * 1024 * 1024
# Seconds that a disk takes to say that something is on it.
SLOW_SYNC = 3
LETTER = (
    "From: Sam <sam@example.org>\r\nMessage-ID: <slow@load.test>\r\n"
    "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n."
)


def refusals(load: Load) -> set[str]:
    """What those heard who were not promised anything, as far as it is ours."""
    return {s.text[:9] for s in load.all() if not s.is_promised}


@pytest.mark.brief
def test_f16_a_full_disk_of_the_database_is_451_and_no_loss(seed: int) -> None:
    with small_disk(MEGABYTES) as disk, scene(store(seed), seed, folder=disk) as stage:

        def fill(blow: Blow) -> None:
            with filled(disk):
                time.sleep(blow.lasts)
            revive(stage)

        blows = plan(seed, seconds(seed, 6, 20), {"full": (1.0, 4.0)})
        with stage.load(pace=0.05) as load:
            stage.storm(load, blows, {"full": fill})
        stage.settle(load, most_doubled=None)
        assert refusals(load) == {"451 4.3.0"}


def test_f16_a_full_disk_of_the_listener_is_452_at_mail(seed: int) -> None:
    with small_disk(MEGABYTES) as disk, scene(store(seed), seed, home=disk) as stage:

        def fill(blow: Blow) -> None:
            with filled(disk, leave=LITTLE):
                time.sleep(blow.lasts)

        blows = plan(seed, seconds(seed, 6, 15), {"nearly full": (2.0, 4.0)})
        with stage.load() as load:
            stage.storm(load, blows, {"nearly full": fill})
        report = stage.settle(load)
        assert refusals(load) == {"452 4.3.1"}
        assert not report.open, str(report)


@pytest.mark.brief
def test_f18_what_the_disk_does_not_keep_is_not_promised(seed: int) -> None:
    need_strace()
    with scene(store(seed), seed) as stage:

        def fail(blow: Blow) -> None:
            when = str(stage.chance.choice((1, 7, 20)))
            if stage.postgres is None:
                when += "+3"
            pids = who_syncs(stage)
            error = stage.chance.choice(("EIO", "ENOSPC"))
            with tampered_sync(pids, f"error={error}:when={when}"):
                time.sleep(blow.lasts)
            revive(stage)

        blows = plan(seed, seconds(seed, 4, 20), {"no sync": (2.0, 5.0)})
        with stage.load(pace=0.05) as load:
            stage.storm(load, blows, {"no sync": fail})
            stage.kill_listener(stage.blows[-1])
        report = stage.settle(load, most_doubled=None)
        assert report.open, "no commit was hit"
        assert refusals(load) == {"451 4.3.0"}


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_i4_a_250_waits_for_the_disk(kind: str) -> None:
    need_strace()
    if kind == "postgres":
        need_postgres()
    with scene(kind, 1) as stage, Client(stage.stack.smtp_port) as client:
        client.hello()
        client.ask("MAIL FROM:<sam@example.org>")
        client.ask(f"RCPT TO:<{stage.places[0].address}>")
        client.ask("DATA")
        with tampered_sync(who_syncs(stage), f"delay_enter={SLOW_SYNC}s"):
            began = time.monotonic()
            code, text = client.ask(LETTER)
            assert code == 250, text
            assert time.monotonic() - began >= SLOW_SYNC


def who_syncs(stage: Scene) -> list[int]:
    """The processes that make a commit of the listener durable."""
    if stage.postgres is None:
        return [stage.stack.processes["smtpd"].pid]
    return stage.postgres.writers()


def revive(stage: Scene) -> None:
    """What an operator, or systemd, does when the trouble is over."""
    if stage.postgres is not None:
        stage.postgres.start()
