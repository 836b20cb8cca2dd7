"""The Celery app: a task is a nudge, the row is the truth."""

import gc
import os

from celery import Celery
from celery.signals import task_prerun, worker_before_create_process
from django.db import close_old_connections

from project.clock import Clock
from smtpd.statements import Hints

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["project", "smtpd.queue", "smtpd.reports", "smtpd.retention", "lists"]
)
app.steps["consumer"].add(Clock)


# Of the thread in which tasks run.
_hints = Hints()


@worker_before_create_process.connect
def share_memory(**_: object) -> None:
    """Keep what is loaded by now shared between the worker's processes.

    A collection writes into every object it looks at, and a page that is
    written to is copied.
    """
    gc.collect()
    gc.freeze()


@task_prerun.connect
def check_database(**_: object) -> None:
    """Keep the connection of the task before, unless it is broken or too old."""
    close_old_connections()
    _hints.open()
