"""The clock's door to delivery."""

from __future__ import annotations

from celery import shared_task

from lists.delivery import actions
from smtpd.queue.nudge import PATIENCE, nudge


@shared_task(expires=PATIENCE)
def fan_out() -> None:
    """Give every subscriber of the posts that wait a row in the ledger, once."""
    if actions.fan_out_waiting():
        nudge(fan_out)
