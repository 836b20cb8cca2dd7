"""The clock's door to the bounces. Running it twice is harmless."""

from __future__ import annotations

from celery import shared_task

from lists.bounces.counting import count_fresh


@shared_task
def count_bounces() -> None:
    """Count what was noted an hour ago, hold what failed together."""
    while count_fresh():
        pass
