"""What a returned mail says."""

from __future__ import annotations

import time
from email import message_from_bytes

import pytest

from lists.bounces import reports
from lists.bounces.reports import Outcome, Report
from tests.lists.bounces.mails import UNKNOWN_USER, VACATION, arf, block, dsn


def test_a_standard_report_is_read() -> None:
    report = reports.read(UNKNOWN_USER)
    assert report.outcome is Outcome.FAILED
    assert (report.code, report.enhanced) == (550, "5.1.1")
    assert report.text == "550 5.1.1 <sam@people.test>: user unknown"
    assert report.words == "<sam@people.test>: user unknown"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("550 who?", "who?"),
        ("550-5.1.1 who?", "who?"),
        ("554: 550 of them", "550 of them"),
        ("5 of 12 failed", "5 of 12 failed"),
        ("2001 was a year", "2001 was a year"),
    ],
)
def test_codes_are_not_said_twice(text: str, words: str) -> None:
    assert Report(Outcome.FAILED, 550, text=text).words == words


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "delivered"])
def test_what_has_not_failed_is_pending(action: str) -> None:
    report = reports.read(
        dsn(block(action, "4.4.1" if action == "delayed" else "2.0.0"))
    )
    assert report.outcome is Outcome.PENDING


def test_the_failed_one_of_several_recipients_counts() -> None:
    raw = dsn(block("relayed", "2.0.0"), block("failed", "5.2.2"), block("delayed"))
    report = reports.read(raw)
    assert (report.outcome, report.enhanced) == (Outcome.FAILED, "5.2.2")


def test_the_reply_is_more_exact_than_a_generic_status() -> None:
    raw = dsn(block(status="5.0.0", diagnostic="554 5.7.1 no spam please"))
    assert reports.read(raw).enhanced == "5.7.1"


def test_a_given_up_temporary_failure_has_failed() -> None:
    report = reports.read(dsn(block(status="4.4.7")))
    assert (report.outcome, report.enhanced) == (Outcome.FAILED, "4.4.7")


def test_an_internationalized_report_is_read() -> None:
    raw = dsn(block(status="5.1.1"), kind="message/global-delivery-status")
    assert reports.read(raw).enhanced == "5.1.1"


def test_the_returned_mail_is_not_mistaken_for_the_report() -> None:
    inner = UNKNOWN_USER.decode()
    raw = (
        "Subject: Fwd: see this\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
        f"Content-Type: message/rfc822\r\n\r\n{inner}\r\n--outer--\r\n"
    ).encode()
    assert reports._delivery_status(message_from_bytes(raw)) is None


def test_a_complaint_is_read_without_an_address() -> None:
    assert reports.read(arf()).outcome is Outcome.COMPLAINT


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "virus", ""])
def test_other_feedback_is_no_complaint(kind: str) -> None:
    assert reports.read(arf(kind)).outcome is Outcome.NONE


@pytest.mark.parametrize(
    "raw",
    [
        VACATION,
        b"",
        b"\r\n\r\n",
        b"\x00\xff\xfe",
        b"Content-Type: multipart/report\r\n\r\nno boundary",
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n--b--",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\nx",
        dsn(),
        dsn("Final-Recipient: rfc822; sam@people.test"),
    ],
)
def test_what_is_no_report_is_none(raw: bytes) -> None:
    assert reports.read(raw).outcome is Outcome.NONE


def test_hostile_mail_is_read_in_bounded_time() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(5000)
    )
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    wide += b"--b\r\n\r\n" * 100_000
    blocks = dsn(*["X: y"] * 50_000)
    started = time.perf_counter()
    for raw in (deep, wide, blocks, b"A" * 5_000_000, b"<" * 300_000):
        assert reports.read(raw).outcome is Outcome.NONE
    assert time.perf_counter() - started < 10
