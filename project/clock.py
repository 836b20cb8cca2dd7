"""The scheduler: `python -m project.clock`.

It only sends the names of tasks by the static schedule of the settings, so it
loads no Django app, no model and none of Celery's commands. Start one of it for
a site; a second sends each sweep twice, which does no harm.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("clock", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")


def main() -> None:
    """Send what is due until a signal ends it.

    Nothing is kept: at start everything is due, and due twice does no harm.
    """
    app.Beat(scheduler="celery.beat:Scheduler", loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
