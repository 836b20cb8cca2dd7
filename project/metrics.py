"""Numbers for Prometheus, read from the database at each scrape.

One scrape is right whatever the number of processes, because none of them
counts anything itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.registry import Collector

from lists.models import MailingList, Post, Subscription
from project.health import look
from smtpd.models import Delivery, Message, Outgoing
from smtpd.queue import due


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"folkmoot_{name}", text, value=value)


def _deliveries() -> Iterator[GaugeMetricFamily]:
    """One look at the ledger, counted twice."""
    by_state, by_failure = (
        GaugeMetricFamily(f"folkmoot_{name}", text, labels=labels)
        for name, text, labels in (
            ("deliveries", "Deliveries by state and lane", ["state", "lane"]),
            ("refusals", "Refused ones by state and class", ["state", "failure"]),
        )
    )
    rows = Delivery.objects.order_by().values_list("state", "lane", "failure")
    states: Counter[tuple[str, str]] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    for state, lane, failure, count in rows.annotate(n=Count("id")):
        states[state, Outgoing.Lane(lane).name.lower()] += count
        if failure:
            failures[state, failure] += count
    for family, counts in ((by_state, states), (by_failure, failures)):
        for labels, count in counts.items():
            family.add_metric(labels, count)
        yield family


def _oldest_due() -> float:
    oldest = due.oldest()
    return (timezone.now() - oldest).total_seconds() if oldest else 0.0


class SiteCollector(Collector):
    """The state of queue, lists and moderation as gauges."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count now."""
        health = look()
        yield _gauge("broker_up", "Whether the broker answers", health.broker)
        yield _gauge(
            "beat_age_seconds",
            "Since the scheduler's last beat was worked off; NaN when never",
            float("nan") if health.beat_age is None else health.beat_age,
        )
        yield from _deliveries()
        yield _gauge("alarms", "Servers that do not want our mail", len(health.alarms))
        yield _gauge("oldest_due_seconds", "Age of the oldest due", _oldest_due())
        yield _gauge("messages", "Messages stored", Message.objects.count())
        yield _gauge("lists", "Lists", MailingList.objects.count())
        subscriptions = Subscription.objects
        yield _gauge("subscriptions", "Subscriptions", subscriptions.count())
        suspended = subscriptions.filter(suspended_by=Subscription.SuspendedBy.BOUNCES)
        yield _gauge("suspended", "Suspended by bounces", suspended.count())
        yield _gauge("held_posts", "Posts held", Post.objects.held().count())


REGISTRY = CollectorRegistry()
# Describing would collect, and so ask the database before it is there.
_collector = SiteCollector()
REGISTRY.register(_collector)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
