"""The clock's door to the site itself."""

from celery import shared_task

from project.health import note_beat


@shared_task
def beat() -> None:
    """Prove that a clock, the broker and a worker are alive."""
    note_beat()
