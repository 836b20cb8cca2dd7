"""A task wakes the worker of its process, and may ask for another process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from smtpd.queue import process
from tests.sink import Script, Sink
from tests.smtpd.sending import make_verp, people, states
from tests.stack import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    """A slow relay, and the worker of this process."""
    with Sink(Script(latency=0.05)) as sink:
        settings.RELAY, settings.RELAY_TLS = sink.relay, "none"
        settings.RELAY_CONNECTIONS = 4
        yield sink
        process.stop()


def test_whoever_sends_asks_for_help_now_and_then_only(sink: Sink) -> None:
    calls: list[str] = []
    make_verp(people(100))
    assert process.deliver(), "it was at rest"
    process.call(lambda: calls.append("help"))
    assert not process.deliver(), "it sends, and has asked"
    wait_until(lambda: states() == {"sent": 100}, 30)
    assert calls == ["help"]
    # For the next burst it may ask again.
    wait_until(process.deliver, 10)
