"""The Celery app: a task is a nudge, the row is the truth."""

import gc
import os

from celery import Celery
from celery.signals import worker_before_create_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["project", "smtpd.queue", "smtpd.reports", "lists"])


@worker_before_create_process.connect
def share_memory(**_: object) -> None:
    """Keep what is loaded by now shared between the worker's processes.

    A collection writes into every object it looks at, and a page that is
    written to is copied.
    """
    gc.collect()
    gc.freeze()
