"""The clock's door to the queue. Running any of these twice is harmless."""

from __future__ import annotations

from celery import shared_task

from smtpd.outbound.relay import RELAY
from smtpd.queue import ledger, worker
from smtpd.queue.nudge import nudge


@shared_task
def deliver(destination: str = RELAY) -> None:
    """Send what is due to a destination for a while, then let others run."""
    if worker.deliver(destination):
        nudge(deliver, destination)


@shared_task
def sweep() -> None:
    """Find what a lost nudge left behind."""
    for destination in ledger.due():
        nudge(deliver, destination)
