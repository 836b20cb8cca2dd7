"""The clock's door to the queue. Running any of these twice is harmless."""

from __future__ import annotations

from functools import partial

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.conf import settings

from smtpd.queue import due, ledger, process
from smtpd.queue.allowances import prune
from smtpd.queue.destinations import reroute
from smtpd.queue.nudge import PATIENCE, nudge


@shared_task(expires=PATIENCE)
def deliver(helpers: int | None = None) -> None:
    """Have this process send what is due.

    When that is more than one process should do alone, call the next one.
    """
    may_call = process.deliver()
    helpers = settings.WORKERS - 1 if helpers is None else helpers
    if helpers > 0 and may_call and due.is_crowded():
        process.call(partial(nudge, deliver, helpers - 1))


@shared_task
def sweep() -> None:
    """Find what a lost nudge left behind."""
    waiting = due.everything()
    moved = reroute({host.name for host in waiting})
    if moved or any(host.is_due for host in waiting):
        nudge(deliver)


@shared_task
def tidy() -> None:
    """Tries that are long due go first; destinations that are done with go."""
    ledger.bring_forward()
    prune()


@worker_process_shutdown.connect
def give_back(**_: object) -> None:
    """A worker process ends: what it has not begun is due again at once."""
    process.stop()
