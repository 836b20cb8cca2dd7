"""The worker: `python -m project.worker`, deliveries and all that is done later.

What `celery -A project worker` runs, without the command line around it, which
takes 10 MiB; WORKERS says how many processes there are.
"""

from __future__ import annotations

import sys
import warnings

from billiard import pool
from django.conf import settings

from project.celery import app
from project.consumer import Consumer

# A task that a process is about to begin when the worker is told to end is forgotten:
# nobody reads that it was done, and the process waits for its reader. Half a minute by
# default, in tenths of a second; of our tasks nobody needs to know.
_WAITS_FOR_A_READER = 10


def main() -> int:
    """Work until SIGTERM; the task in hand is ended first."""
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _WAITS_FOR_A_READER
    # In a container one is root; Celery fears pickle there, and we take JSON only.
    warnings.filterwarnings("ignore", "You're running the worker with superuser")
    worker = app.Worker(
        concurrency=settings.WORKERS,
        consumer_cls=Consumer,
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
