"""The clock's door to pruning. Running it twice is harmless."""

from __future__ import annotations

from celery import shared_task

from smtpd.queue.nudge import nudge
from smtpd.retention import actions


@shared_task
def prune() -> None:
    """Prune for a while, then let others run."""
    if actions.prune():
        nudge(prune)
