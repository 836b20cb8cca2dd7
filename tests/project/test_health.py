"""Load balancers and people can see whether the site works."""

import pytest
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from project.health import note_beat
from project.security import ADMIN, HEADER, SITE

pytestmark = pytest.mark.django_db


def test_healthy_site_answers_200(client: Client) -> None:
    note_beat()
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["beat_age_seconds"] < 5
    assert answer.json()["oldest_due_seconds"] is None


def test_site_without_broker_answers_503(client: Client, settings: Settings) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert (answer.json()["database"], answer.json()["broker"]) == (True, False)


def test_nobody_posts_to_it(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


def test_metrics_are_numbers_of_the_database(client: Client) -> None:
    text = client.get("/metrics").content.decode()
    assert "folkmoot_lists 0.0" in text
    assert "folkmoot_broker_up 1.0" in text
    assert connection.vendor in {"sqlite", "postgresql"}


def test_site_is_strict_and_admin_has_its_own_policy(client: Client) -> None:
    assert client.get("/healthz").headers[HEADER] == SITE
    assert client.get("/admin/login/").headers[HEADER] == ADMIN
    assert "unsafe" not in SITE
