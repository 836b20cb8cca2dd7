"""F03, F28, F37: clients that break off, that dawdle, and a listener told to end."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from tests.faults.client import Client, Gone
from tests.faults.load import Load
from tests.faults.scene import scene, seconds, store
from tests.faults.storm import Blow, plan

LORISES = 300
_PARTS = (
    b"",
    b"EHLO slow.test\r\nMAIL FR",
    b"EHLO slow.test\r\nMAIL FROM:<slow@example.org>\r\nRCPT TO:<pair@lists.localhost>"
    b"\r\nDATA\r\nSubject: sl",
)


class Faithless(Load):
    """Clients that break off behind the dot more often than not."""

    def last_word(self, client: Client, chance: random.Random) -> tuple[int, str]:
        """Wait, hang up, half-close, or have our reply meet a reset."""
        match chance.randrange(4):
            case 0:
                return client.read()
            case 1:
                client.half_close()
                client.read()
                raise Gone("had said that it would")
            case 2:
                client.reset()
        raise Gone("hung up on purpose")


def test_f03_a_client_that_breaks_off_gets_all_or_nothing(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        load = Faithless(
            stage.stack.smtp_port, stage.places, seed=seed, clients=6, pace=0.02
        )
        with load, stage.telling(load):
            time.sleep(15)
            load.stop()
        report = stage.settle(load)
        assert report.open
        assert "Traceback" not in stage.stack.log("smtpd").read_text()


@pytest.mark.brief
def test_f37_told_to_end_it_answers_what_was_sent(seed: int) -> None:
    with scene(store(seed), seed) as stage:
        blows = plan(
            seed, seconds(seed, 8, 25), {"SIGTERM": (0.0, 0.3)}, every=(0.5, 2.0)
        )

        def end(blow: Blow) -> None:
            assert stage.stack.stop("smtpd") == 0
            time.sleep(blow.lasts)
            stage.start_listener()

        with stage.load(clients=6, pace=0.02, dawdle=0.5) as load:
            stage.storm(load, blows, {"SIGTERM": end})
        report = stage.settle(load)
        # Nobody is left without a word behind the dot.
        assert not report.open, str(report)


def test_f28_slow_clients_keep_nobody_waiting(seed: int) -> None:
    with scene(store(seed), seed) as stage, contextlib.ExitStack() as cleanup:
        lorises = [
            cleanup.enter_context(Client(stage.stack.smtp_port, 10))
            for _ in range(LORISES)
        ]
        began = [stage.chance.choice(_PARTS) for _ in lorises]
        with stage.load(clients=2) as load, stage.telling(load):
            for loris, octets in zip(lorises, began, strict=True):
                loris.write(octets)
            for _ in range(10):
                time.sleep(1)
                for loris in stage.chance.sample(lorises, LORISES // 10):
                    loris.write(b"x")
            load.stop()
        report = stage.settle(load)
        assert report.promised == len(load.all()), str(report)
