"""The scheduler: `python -m celery -A project.clock beat`.

It only sends the names of tasks by the static schedule of the settings, so it
loads no Django app and no model. Start one of it for a site; a second sends
each sweep twice, which does no harm.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("clock", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
