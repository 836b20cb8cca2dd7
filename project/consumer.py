"""The worker's ear at the broker: hears it again soon after it is back.

Celery asks a broker that is away less and less often, down to every half minute,
and gives up after a hundred times. Mail that waits must not wait for that.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

log = logging.getLogger(__name__)

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

    def on_connection_error_after_connected(self, error: Exception) -> None:
        """Let go of a connection that broke, and never end the worker for it.

        Kombu stumbles over one that breaks a second time while it is put away,
        and all there is to lose is gone with it: the row is the truth.
        """
        try:
            super().on_connection_error_after_connected(error)
        except Exception as trouble:  # noqa: BLE001 - whatever it stumbles over
            log.warning("broker connection=dropped reason=%r", trouble)
