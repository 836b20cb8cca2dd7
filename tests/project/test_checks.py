"""Each mistake in the configuration is one line; a good one is silent."""

import os
from pathlib import Path

import pytest
from django.conf import settings as live
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from pytest_django.fixtures import Settings

from project import checks

GOOD_KEY = "correct horse battery staple, and a good deal more"


def found(check: object) -> list[str]:
    assert callable(check)
    return [str(message.id) for message in check()]


def test_good_settings_are_silent(settings: Settings) -> None:
    settings.BASE_URL = "https://lists.example.org"
    settings.SECRET_KEY = GOOD_KEY
    for check in (
        checks.check_binds,
        checks.check_relay,
        checks.check_tls,
        checks.check_data,
        checks.check_secret,
        checks.check_web,
        checks.check_scale,
    ):
        assert found(check) == []


@pytest.mark.parametrize("bind", ["25", "host:", "host:smtp", "::1:25", "h:70000"])
def test_malformed_bind_is_an_error(settings: Settings, bind: str) -> None:
    settings.SMTP_BIND = bind
    assert found(checks.check_binds) == ["folkmoot.E001"]


@pytest.mark.parametrize("name", ["LMTP_BIND", "LOOKUP_BIND"])
def test_a_server_in_front_may_come_by_a_unix_socket(
    settings: Settings, name: str
) -> None:
    setattr(settings, name, "/run/folkmoot/front.sock")
    assert found(checks.check_binds) == []
    setattr(settings, name, f"/{'x' * 107}")
    assert found(checks.check_binds) == ["folkmoot.E001"]
    setattr(settings, name, "run/front.sock")
    assert found(checks.check_binds) == ["folkmoot.E001"]


@pytest.mark.parametrize("relay", ["smarthost", "host:", ":25", "host:0", "mbox"])
def test_malformed_relay_is_an_error(settings: Settings, relay: str) -> None:
    settings.RELAY = relay
    assert found(checks.check_relay) == ["folkmoot.E002"]


@pytest.mark.parametrize("relay", ["mailbox", "mx", "host:25", "[2001:db8::1]:25"])
def test_each_form_of_relay_is_right(settings: Settings, relay: str) -> None:
    settings.RELAY = relay
    assert found(checks.check_relay) == []


def test_an_unknown_policy_for_moved_addresses_is_an_error(
    settings: Settings,
) -> None:
    assert found(checks.check_moved) == []
    settings.MOVED_POLICY = "bounce"
    assert found(checks.check_moved) == ["folkmoot.E012"]


@pytest.mark.parametrize("server", ["dns.test:53", "127.0.0.1", "::1:53"])
def test_dns_server_is_an_address_and_a_port(settings: Settings, server: str) -> None:
    settings.RELAY, settings.DNS_SERVER = "mx", server
    assert found(checks.check_relay) == ["folkmoot.E014"]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_strangers_cannot_be_held_to_tls(settings: Settings, tls: str) -> None:
    settings.RELAY, settings.RELAY_TLS = "mx", tls
    assert found(checks.check_relay) == ["folkmoot.E003"]


def test_unknown_relay_tls_is_an_error(settings: Settings) -> None:
    settings.RELAY_TLS = "yes"
    assert found(checks.check_relay) == ["folkmoot.E003"]


def test_certificate_without_key_is_an_error(settings: Settings) -> None:
    settings.TLS_CERT = __file__
    assert found(checks.check_tls) == ["folkmoot.E004"]


def test_data_folder_that_is_not_there_is_an_error(
    settings: Settings, tmp_path: Path
) -> None:
    settings.FOLKMOOT_DATA = tmp_path / "gone"
    assert found(checks.check_data) == ["folkmoot.E005"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_data_folder_is_an_error(settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    settings.FOLKMOOT_DATA = tmp_path
    assert found(checks.check_data) == ["folkmoot.E005"]


def test_socket_path_that_is_too_long_is_an_error(
    settings: Settings, tmp_path: Path
) -> None:
    settings.EMBEDDED_BROKER = tmp_path / ("x" * 108)
    settings.BROKER_URL = f"redis+socket://{settings.EMBEDDED_BROKER}"
    assert found(checks.check_data) == ["folkmoot.E006"]


def test_broker_that_is_down_is_an_error(settings: Settings) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    assert found(checks.check_broker) == ["folkmoot.E009"]


@pytest.mark.parametrize("key", ["short", "a" * 50])
def test_weak_secret_is_a_warning(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key
    assert found(checks.check_secret) == ["folkmoot.W001"]


def test_debug_and_http_are_warnings(settings: Settings) -> None:
    settings.DEBUG = True
    settings.BASE_URL = "http://lists.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    ids = ["folkmoot.W002", "folkmoot.W003", "folkmoot.W004"]
    assert found(checks.check_web) == ids


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_sqlite_with_a_far_broker_is_a_warning(settings: Settings) -> None:
    settings.BROKER_URL = "redis://redis.example.org/0"
    assert found(checks.check_scale) == ["folkmoot.W005"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.django_db
def test_commits_that_do_not_wait_for_the_disk_are_an_error() -> None:
    assert found(checks.check_durability) == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert found(checks.check_durability) == ["folkmoot.E008"]
    # A listener that is started by itself refuses too.
    with pytest.raises(SystemCheckError, match="synchronous_commit is off"):
        call_command("smtpd")


def test_the_command_runs_them(settings: Settings) -> None:
    settings.RELAY = "nowhere"
    with pytest.raises(SystemCheckError, match=r"E002.*RELAY: 'nowhere'"):
        call_command("check", tags=[checks.TAG])
    assert live.RELAY == "nowhere"


def test_passwords_in_the_clear_are_an_error(settings: Settings) -> None:
    assert found(checks.check_submission) == []
    settings.SUBMISSION_BIND = "127.0.0.1:587"
    settings.SUBMISSIONS_BIND = "127.0.0.1:465"
    assert found(checks.check_submission) == ["folkmoot.E013"] * 2
    settings.TLS_CERT = "cert.pem"
    assert found(checks.check_submission) == []
    settings.SUBMISSION_DAILY_RECIPIENTS = -1
    assert found(checks.check_submission) == ["folkmoot.E013"]


def test_local_site_is_not_told_about_https(settings: Settings) -> None:
    settings.BASE_URL = "http://127.0.0.1:8000"
    assert checks.is_local()
    settings.BASE_URL = "http://lists.example.org"
    assert not checks.is_local()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROXY_FROM", "10.0.0.1/8"),
        ("PROXY_FROM", "proxy.example.org"),
        ("PROXY_FROM", "10.0.0.1, 127.0.0.0/8"),
        ("DNSBL", ["zen"]),
        ("DNSBL", ["zen.example.org", "http://bl.example.org"]),
        ("GREETING_PAUSE", -1),
        ("GREETING_PAUSE", 60),
    ],
)
def test_what_strangers_are_asked_must_make_sense(
    settings: Settings, name: str, value: object
) -> None:
    assert found(checks.check_strangers) == []
    setattr(settings, name, value)
    (number,) = found(checks.check_strangers)
    assert number in {"folkmoot.E015", "folkmoot.E016"}


def test_a_proxy_on_this_machine_has_an_address_of_its_own(settings: Settings) -> None:
    settings.PROXY_FROM = "127.0.0.2, 2001:db8::/32"
    settings.DNSBL = ["zen.example.org"]
    assert found(checks.check_strangers) == []
