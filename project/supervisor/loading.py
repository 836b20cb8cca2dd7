"""What the parts have in common, loaded once before they are born.

Each part would else hold its own 60 MiB of the same modules. A page is shared
until somebody writes to it, and counting references writes; so about two thirds
of them stay shared.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module

import django
from django.db import connection

from project.celery import app

# Whatever the parts import at work, but the few lines that start them.
_MODULES = (
    "project.urls",
    "project.mailroutes",
    "project.wsgi",
    "smtpd.management.commands.smtpd",
    "celery.app.amqp",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.contrib.django.task",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "cffi.cparser",
    "django.core.cache.backends.redis",
    "django.db.models.sql.compiler",
    "granian.cli",
    "kombu.transport.redis",
)


def load() -> None:
    """Import all of it, and keep the collector's hands off it.

    No thread is started here and nothing is connected: neither survives a fork.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    gc.disable()
    django.setup()
    for name in _MODULES:
        import_module(name)
    app.loader.import_default_modules()
    # The module of the database's backend is found at the first look.
    assert connection.vendor
    gc.enable()
    gc.collect()
    gc.freeze()
