"""The clock: each worker's main process sends the tasks that time brings.

It has no process of its own, and none that a site must have exactly one of: of
several workers the first to say so in the cache sends a task. A nudge twice or
late does no harm.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from django.core.cache import cache
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Of its period, how long a task counts as sent: below 1, or a clock that is a
# moment early would find its own last word and skip a turn.
_SENT_FOR = 0.8


class Clock(bootsteps.StartStopStep):
    """Part of Celery's consumer: its timer, in the loop that reads the queue."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timers: list[Any] = []

    def start(self, consumer: Any) -> None:
        """Send everything, and again in each period; also when Redis is back."""
        for name, entry in consumer.app.conf.beat_schedule.items():
            args = (consumer.app, name, entry)
            tick(*args)
            timer = consumer.timer.call_repeatedly(entry["schedule"], tick, args)
            self._timers.append(timer)

    def stop(self, consumer: Any) -> None:
        """The connection is lost, or the worker ends."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []


def tick(app: Any, name: str, entry: dict[str, Any]) -> None:
    """Send a task unless another clock just did."""
    try:
        if cache.add(f"clock:{name}", 1, entry["schedule"] * _SENT_FOR):
            app.send_task(entry["task"], retry=False, **entry["options"])
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("clock task=%s state=lost reason=%s", name, error)
