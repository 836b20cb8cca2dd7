"""The worker's ear at the broker, when that breaks in an odd moment."""

from __future__ import annotations

import pytest
from kombu import Connection

from project.celery import app
from project.consumer import Consumer


def test_a_connection_that_cannot_be_put_away_does_not_end_the_worker(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble() -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    # As the worker had it when Redis went away while tasks were in its hands.
    consumer = Consumer.__new__(Consumer)
    consumer.app = app
    broken = Connection("redis://127.0.0.1:1//")
    monkeypatch.setattr(broken, "close", stumble)
    consumer.connection = broken
    consumer.on_connection_error_after_connected(ConnectionError("gone"))
    assert consumer.connection is not broken
    assert "connection=dropped" in caplog.text
