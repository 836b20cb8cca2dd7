"""The clock's door to the queue. Running any of these twice is harmless."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.conf import settings

from smtpd.outbound.relay import RELAY
from smtpd.queue import ledger, worker
from smtpd.queue.nudge import nudge

# A nudge that nobody had time for in so many seconds is dropped: while there is
# much to send, every sweep adds one, and they must not pile up before others.
_EXPIRES = 4


@shared_task(expires=_EXPIRES)
def deliver(destination: str = RELAY, helpers: int | None = None) -> None:
    """Send what is due to a destination for a while, then let others run.

    When that is more than one process should do alone, call the next one.
    """
    helpers = settings.WORKERS - 1 if helpers is None else helpers
    if helpers > 0 and ledger.is_crowded(destination):
        nudge(deliver, destination, helpers - 1)
    if worker.deliver(destination):
        nudge(deliver, destination, 0)


@shared_task
def sweep() -> None:
    """Find what a lost nudge left behind."""
    for destination in ledger.due():
        nudge(deliver, destination)


@worker_process_shutdown.connect
def give_back(**_: object) -> None:
    """A worker process ends: what it has not begun is due again at once."""
    worker.stop()
