"""Names and passwords of mail programs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from smtpd import replies
from smtpd.models import AppPassword
from smtpd.submission import actions, brake, passwords
from smtpd.submission.accounts import Account
from tests.smtpd.submission.makers import (
    OLGA,
    SAM,
    log_in,
    make_user,
    password_of,
)

pytestmark = pytest.mark.django_db


def test_the_right_password_opens() -> None:
    secret = password_of()
    found = log_in("Sam@Home.Test", secret)
    assert isinstance(found, Account)
    assert (found.name, found.may_relay) == (SAM, False)


def test_a_password_may_be_typed_as_it_comes() -> None:
    secret = password_of()
    assert len(secret) == 29
    assert isinstance(log_in(SAM, secret.replace("-", "").upper()), Account)
    assert isinstance(log_in(SAM, secret.replace("-", " ")), Account)


def test_no_two_passwords_are_alike_and_none_is_kept() -> None:
    secrets = {password_of() for _ in range(10)}
    assert len(secrets) == 10
    kept = set(AppPassword.objects.values_list("hash", flat=True))
    assert kept == {passwords.digest(secret) for secret in secrets}
    assert not kept & secrets


def test_a_wrong_name_password_or_person_is_535() -> None:
    secret, other = password_of(), password_of(OLGA)
    for name, password in [
        (SAM, "wrong"),
        (SAM, other),
        (OLGA, secret),
        ("nobody@home.test", secret),
        ("", ""),
        ("sam\0@home.test", "\0"),
        (SAM, "\ud7ff é"),
    ]:
        assert log_in(name, password, peer="") == replies.BAD_CREDENTIALS


def test_a_revoked_password_opens_nothing() -> None:
    first, second = password_of(), password_of()
    row = AppPassword.objects.get(hash=passwords.digest(first))
    assert actions.revoke(row)
    assert not actions.revoke(row)
    assert log_in(SAM, first) == replies.BAD_CREDENTIALS
    assert isinstance(log_in(SAM, second), Account)


def test_a_person_who_may_not_sign_in_sends_nothing() -> None:
    secret = password_of()
    user = make_user()
    user.is_active = False
    user.save()
    assert log_in(SAM, secret) == replies.BAD_CREDENTIALS


def test_looking_up_is_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    password_of()
    with django_assert_num_queries(1):
        log_in(SAM, "wrong")


def test_the_last_use_is_written_down_now_and_then() -> None:
    secret = password_of()
    log_in(SAM, secret, peer="192.0.2.7")
    row = AppPassword.objects.get()
    assert row.last_used_from == "192.0.2.7"
    assert row.last_used_at
    log_in(SAM, secret, peer="192.0.2.8")
    row.refresh_from_db()
    assert row.last_used_from == "192.0.2.7", "not for every message"
    AppPassword.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    log_in(SAM, secret, peer="2001:db8::1")
    row.refresh_from_db()
    assert row.last_used_from == "2001:db8::1"


def test_nobody_has_passwords_without_end() -> None:
    user = make_user()
    for number in range(actions.MOST):
        actions.make_password(user, str(number))
    with pytest.raises(ValidationError):
        actions.make_password(user, "one more")
    actions.revoke(AppPassword.objects.latest("id"))
    actions.make_password(user, "one more")


def test_a_guesser_is_braked_and_the_person_elsewhere_is_not() -> None:
    secret = password_of()
    answers = [log_in(SAM, f"guess {at}", peer="192.0.2.66") for at in range(100)]
    assert answers.count(replies.BAD_CREDENTIALS) == brake.OF_NAME
    assert answers[-1] == replies.AUTH_BRAKED
    # The same network is braked too, the rest of the world is not.
    assert log_in(SAM, secret, peer="192.0.2.7") == replies.AUTH_BRAKED
    assert isinstance(log_in(SAM, secret, peer="198.51.100.7"), Account)
    # Others in that network still come in.
    assert isinstance(log_in(OLGA, password_of(OLGA), peer="192.0.2.7"), Account)


def test_a_thousand_names_from_one_network_are_braked() -> None:
    names = [f"sam{at}@home.test" for at in range(200)]
    peers = [f"2001:db8::{at:x}" for at in range(200)]
    answers = [log_in(name, "x", peer) for name, peer in zip(names, peers, strict=True)]
    assert answers.count(replies.BAD_CREDENTIALS) == brake.OF_NETWORK
    assert log_in(SAM, password_of(), peer="2001:db8::9:9") == replies.AUTH_BRAKED
    assert isinstance(log_in(SAM, password_of(), peer="2001:db8:0:1::9"), Account)


def test_the_right_password_clears_the_count() -> None:
    secret = password_of()
    for _ in range(3):
        for _ in range(brake.OF_NAME - 1):
            log_in(SAM, "typo")
        assert isinstance(log_in(SAM, secret), Account)


def test_a_cache_that_is_down_locks_nobody_out(settings: Settings) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert log_in(SAM, "wrong") == replies.BAD_CREDENTIALS
    assert isinstance(log_in(SAM, password_of()), Account)
