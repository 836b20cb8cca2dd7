"""The clock's door to delivery."""

from __future__ import annotations

from celery import shared_task

from lists.delivery import actions


@shared_task
def fan_out(post_id: int) -> None:
    """Give every subscriber of a post a row in the ledger, once."""
    actions.fan_out(post_id)
