import gc

from django.apps import AppConfig

# Makes our Celery app the one that every shared task belongs to.
from project.celery import app as celery_app
from project.checks import register


class ProjectConfig(AppConfig):
    name = "project"
    verbose_name = "People"
    default_auto_field = "django.db.models.BigAutoField"
    celery = celery_app

    def ready(self) -> None:
        register()
        # What is loaded now stays: a forked worker need not touch, and so copy, it.
        gc.freeze()
