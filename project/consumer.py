"""The worker's ear at the broker: hears it again soon after it is back.

Celery asks a broker that is away less and less often, down to every half minute,
and gives up after a hundred times. Mail that waits must not wait for that.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

# Seconds between two tries at most.
_RETRY_WITHIN = 5.0


class Consumer(CeleryConsumer):
    """Reads the queue, and comes back to it."""

    def ensure_connected(self, conn: Any) -> Any:
        """Try until it answers, every few seconds."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_max=_RETRY_WITHIN
        )
        return super().ensure_connected(conn)
