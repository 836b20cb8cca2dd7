"""The clock's door to the lists: the index of every background job.

Each is a nudge at a row that says what to do; running one twice is harmless.
"""

from __future__ import annotations

from celery import shared_task

from lists.bounces.actions import record_failures
from lists.bounces.tasks import count_bounces
from lists.delivery import actions as delivery
from lists.delivery.tasks import fan_out
from lists.subscriptions import imports
from lists.subscriptions.tasks import forget_questions, run_import
from smtpd.queue.nudge import nudge

__all__ = ["count_bounces", "fan_out", "forget_questions", "run_import", "sweep"]


@shared_task
def sweep() -> None:
    """Find what a lost nudge or a worker that died left behind."""
    if delivery.is_left_behind():
        nudge(fan_out)
    for import_id in imports.left_behind():
        nudge(run_import, import_id)
    failures = delivery.failures_left_behind()
    if failures:
        record_failures(failures)
