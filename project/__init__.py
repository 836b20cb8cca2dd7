"""Settings, routes and the user: what ties the rooms together."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
