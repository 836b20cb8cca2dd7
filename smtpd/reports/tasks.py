"""The clock's door to the reports. Running it twice is harmless."""

from __future__ import annotations

from celery import shared_task

from smtpd.reports import debts
from smtpd.reports.actions import delay, return_to_sender, settle


@shared_task
def sweep() -> None:
    """Tell the senders who are owed a report."""
    return_to_sender(debts.left_behind())
    settle(debts.owed())
    delay(debts.late())
