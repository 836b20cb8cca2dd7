"""The clock that every worker has: one task a period, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from django.core.cache import cache

from lists.delivery.tasks import fan_out
from project.celery import app as site
from project.clock import Clock, tick
from smtpd.queue.nudge import PATIENCE
from smtpd.queue.tasks import deliver

ENTRY = {"task": "smtpd.queue.tasks.sweep", "schedule": 5.0, "options": {"expires": 5}}


@pytest.fixture
def app() -> Iterator[Celery]:
    """A broker in memory, of which all workers of this process are clients."""
    made = Celery("test", broker="memory://", set_as_current=False)
    waiting(made)
    yield made
    waiting(made)


@pytest.fixture(autouse=True)
def own_cache(settings: Any) -> Iterator[None]:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "clock"}}
    yield
    cache.clear()


def waiting(app: Celery) -> list[str]:
    """Take what is in the queue: the names of tasks."""
    found = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        while len(queue):
            message = queue.get(timeout=1)
            found.append(str(message.headers["task"]))
            message.ack()
        queue.close()
    return found


def test_of_two_clocks_one_sends(app: Celery) -> None:
    tick(app, "sweep", ENTRY)
    tick(app, "sweep", ENTRY)
    assert waiting(app) == ["smtpd.queue.tasks.sweep"]


def test_the_next_period_sends_again(app: Celery) -> None:
    tick(app, "sweep", ENTRY)
    cache.clear()
    tick(app, "sweep", ENTRY)
    assert len(waiting(app)) == 2


def test_another_task_has_periods_of_its_own(app: Celery) -> None:
    tick(app, "sweep", ENTRY)
    tick(app, "beat", ENTRY | {"task": "project.tasks.beat"})
    assert waiting(app) == ["smtpd.queue.tasks.sweep", "project.tasks.beat"]


def test_a_broker_that_is_down_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    gone = Celery("test", broker="redis://127.0.0.1:1/0", set_as_current=False)
    tick(gone, "sweep", ENTRY)
    assert "clock task=sweep state=lost" in caplog.text


def test_each_worker_has_one() -> None:
    assert Clock in site.steps["consumer"]
    assert all(task in site.tasks for task in named())


def named() -> list[str]:
    site.loader.import_default_modules()
    return [str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()]


def test_what_mail_brings_is_dropped_alike() -> None:
    """Else the one that waits longer is carried out while the others are dropped."""
    assert fan_out.expires == deliver.expires == PATIENCE
