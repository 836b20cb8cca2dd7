"""The clock's door to subscriptions."""

from __future__ import annotations

from celery import shared_task

from lists.subscriptions import imports, limits


@shared_task
def run_import(import_id: int) -> None:
    """Do a member import, or go on with it."""
    imports.run_import(import_id)


@shared_task
def forget_questions() -> None:
    """Drop what nobody answered."""
    limits.forget()
