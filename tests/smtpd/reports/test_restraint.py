"""To whom no report is sent that nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest

from smtpd import fields
from smtpd.reports import restraint


def reason(reverse_path: str = "nick@elsewhere.test", head: bytes = b"") -> str:
    return restraint.reason(reverse_path, fields.split(head)[0])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"From: nick@elsewhere.test\r\nAuto-Submitted: no\r\n",
        b"Precedence: first-class\r\nX-Auto-Response-Suppress: None\r\n",
        b"Content-Type: multipart/mixed; boundary=report\r\nSubject: List-Id\r\n",
    ],
)
def test_a_person_is_told(head: bytes) -> None:
    assert not reason(head=head)


@pytest.mark.parametrize(
    "head",
    [
        b"Auto-Submitted: auto-replied\r\n",
        b"auto-submitted: AUTO-Generated; x=y\r\n",
        b"Precedence: Bulk\r\n",
        b"Precedence: list\r\n",
        b"Precedence: junk\r\n",
        b"Precedence: auto_reply\r\n",
        b"LIST-ID: <a.b>\r\n",
        b"List-Unsubscribe: <mailto:x@y>\r\n",
        b"X-Auto-Response-Suppress: All\r\n",
        b"Content-Type: Multipart/Report; report-type=delivery-status\r\n",
    ],
)
def test_a_program_is_not_told(head: bytes) -> None:
    assert reason(head=b"From: x@y.test\r\n" + head)


@pytest.mark.parametrize(
    ("local_part", "is_told"),
    [
        ("nick", True),
        ("bouncer", True),
        ("noreplyer", True),
        ("mailer-daemon", False),
        ("MAILER-DAEMON", False),
        ("postmaster", False),
        ("no-reply", False),
        ("noreply+x", False),
        ("do-not-reply", False),
        ("talk-bounces", False),
        ("bounces+abc", False),
        ("talk-bounces+sam=x.test", False),
        ("bounce-4711", False),
        ("donotreply", False),
        ("no_reply", False),
        ("No.Reply", False),
        ("nobody", False),
        ("owner-talk", False),
        ("talk-owner", False),
        ("talk-request", False),
        ("owner", True),
        ("downer-x", True),
    ],
)
def test_addresses_of_nobody(local_part: str, *, is_told: bool) -> None:
    assert (reason(f"{local_part}@elsewhere.test") == "") == is_told


BODY = b"disk full\r\n"


def mark(
    sender: str = "cron@x.test",
    to: str = "ops@lists.test",
    news: str = "failed 5.1.1",
    head: bytes = b"Date: today\r\nSubject: disk\r\n",
    body: bytes = BODY,
) -> str:
    return restraint.fingerprint(sender, to, news, fields.split(head)[0], body)


def test_the_same_message_of_another_day_is_the_same() -> None:
    tomorrow = b"Message-ID: <2@x.test>\r\nDate: tomorrow\r\nSubject: disk\r\n"
    assert mark() == mark(head=tomorrow) == mark(sender="Cron@X.test")


@pytest.mark.parametrize(
    "other",
    [
        {"sender": "root@x.test"},
        {"to": "other@lists.test"},
        {"news": "failed 5.2.2"},
        {"news": "delayed 5.1.1"},
        {"head": b"Subject: disc\r\n"},
        {"head": b""},
        {"body": b"disk fine\r\n"},
    ],
)
def test_other_news_or_another_message_is_another(other: dict[str, Any]) -> None:
    assert mark() != mark(**other)
