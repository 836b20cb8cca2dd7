"""Whether the site can do its work now, for load balancers and people.

503 when the database does not answer or the broker does not. A late beat, an old
delivery or a server that does not want our mail is told and does not make the
site unhealthy: mail is still taken.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection

from project.checks import broker_trouble
from smtpd.queue import due
from smtpd.queue.alarms import alarms

log = logging.getLogger(__name__)
_BEAT_KEY = "beat"


@dataclass(frozen=True, slots=True)
class Health:
    """What was found; ages in seconds, None when there is nothing to age."""

    database: bool
    broker: bool
    beat_age: float | None
    oldest_due: float | None
    # Who does not want our mail, in words.
    alarms: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        return self.database and self.broker

    @property
    def status(self) -> str:
        if not self.is_well:
            return "unhealthy"
        return "degraded" if self.alarms else "ok"


def note_beat() -> None:
    """Leave the time for the next look at our health."""
    cache.set(_BEAT_KEY, timezone.now(), timeout=None)


def _age(at: datetime | None) -> float | None:
    return None if at is None else round((timezone.now() - at).total_seconds(), 1)


def _ask_database() -> tuple[bool, float | None]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True, _age(due.oldest())
    except Error:
        log.exception("unhealthy part=database")
        return False, None


def _ask_broker() -> tuple[bool, float | None]:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": 2}
    broker = Connection(
        settings.BROKER_URL, connect_timeout=2, transport_options=options
    )
    try:
        broker.ensure_connection(max_retries=1, timeout=2)
        return True, _age(cache.get(_BEAT_KEY))
    except broker_trouble(broker) as error:
        log.warning("unhealthy part=broker error=%s", error)
        return False, None
    finally:
        broker.release()


def _ask_alarms() -> tuple[str, ...]:
    try:
        return tuple(map(str, alarms()))
    except Error:
        log.exception("unhealthy part=database")
        return ()


def look() -> Health:
    """Ask each part once; never raises because a part is down."""
    database, oldest_due = _ask_database()
    broker, beat_age = _ask_broker()
    refusals = _ask_alarms() if database else ()
    return Health(database, broker, beat_age, oldest_due, refusals)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 or 503 and say which part it is."""
    health = look()
    body = {
        "status": health.status,
        "database": health.database,
        "broker": health.broker,
        "beat_age_seconds": health.beat_age,
        "oldest_due_seconds": health.oldest_due,
        "alarms": health.alarms,
    }
    return JsonResponse(body, status=200 if health.is_well else 503)
