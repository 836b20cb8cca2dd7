"""Tokens: opaque, signed, the same each time."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import override_settings

from smtpd.tokens import Purpose, make, read

LARGEST = 2**63 - 1


@pytest.mark.parametrize("number", [0, 1, 12345, LARGEST])
@pytest.mark.parametrize("purpose", Purpose)
def test_token_names_its_number(purpose: Purpose, number: int) -> None:
    assert read(purpose, make(purpose, number)) == number


def test_token_is_the_same_every_time() -> None:
    assert make(Purpose.BOUNCE, 7) == make(Purpose.BOUNCE, 7)


def test_token_survives_a_change_of_case() -> None:
    token = make(Purpose.BOUNCE, 7)
    assert token == token.lower()
    assert read(Purpose.BOUNCE, token.upper()) == 7
    assert read(Purpose.BOUNCE, token.title()) == 7


def test_longest_bounce_address_fits_a_local_part() -> None:
    assert len(f"bounces+{make(Purpose.BOUNCE, LARGEST)}") <= 64


def test_token_of_another_purpose_is_forged() -> None:
    assert read(Purpose.CONFIRM, make(Purpose.UNSUBSCRIBE, 7)) is None


def test_every_changed_letter_is_noticed() -> None:
    token = make(Purpose.BOUNCE, 7)
    for at in range(len(token)):
        for letter in "abcdefghijklmnopqrstuvwxyz234567":
            forged = token[:at] + letter + token[at + 1 :]
            assert (read(Purpose.BOUNCE, forged) == 7) is (forged == token)


@pytest.mark.parametrize(
    "token",
    ["", "x", "7" * 29, "\u017f" * 29, "a" * 28, "a" * 30, "1" * 29, "a" * 28 + "\n"],
)
def test_nonsense_is_forged(token: str) -> None:
    assert read(Purpose.BOUNCE, token) is None


def test_neighbours_look_unrelated() -> None:
    one, two = make(Purpose.BOUNCE, 1), make(Purpose.BOUNCE, 2)
    assert sum(a == b for a, b in zip(one, two, strict=True)) < 10


def test_old_secret_still_reads() -> None:
    token = make(Purpose.RESUME, 7)
    old = settings.SECRET_KEY
    with override_settings(SECRET_KEY="another"):
        assert read(Purpose.RESUME, token) is None
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[old]):
        assert read(Purpose.RESUME, token) == 7
        assert make(Purpose.RESUME, 7) != token
