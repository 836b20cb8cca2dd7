"""What the tests of the lists share."""

from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture
def own_mail(settings: Settings) -> None:
    """Django's test runner swaps the e-mail backend; ours is under test."""
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
