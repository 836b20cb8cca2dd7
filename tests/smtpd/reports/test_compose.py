"""The bytes of a report, whatever it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd import dsn
from smtpd.dsn import Action
from smtpd.reports.compose import Frame, News, Original, compose
from tests.smtpd.reports.reading import read

AT = datetime(2026, 6, 1, 10, tzinfo=UTC)
HEAD = b"From: Nick <nick@elsewhere.test>\r\nSubject: tea\r\n"
BODY = b"\r\nHello\r\n.\r\n--no boundary\r\n"
ORIGINAL = Original("nick@elsewhere.test", "tea", "<1@elsewhere.test>", "k3y", AT, HEAD)
FAILED = News(Action.FAILED, "team@lists.test", status="5.1.1", code=550)
FRAME = Frame("mx.lists.test", "lists.test", "<2@lists.test>", AT, "0f0f0f0f")
UTF8_HEAD = "From: Jörg <jörg@elsewhere.test>\r\nSubject: tea\r\n".encode()
UTF8 = replace(ORIGINAL, head=UTF8_HEAD, needs_utf8=True)


def test_a_failure() -> None:
    report = read(compose(ORIGINAL, FAILED, FRAME))
    assert report.mail["To"] == "<nick@elsewhere.test>"
    assert report.mail["From"] == "Mail delivery <postmaster@lists.test>"
    assert report.mail["Subject"] == "Undelivered: tea"
    assert report.mail["In-Reply-To"] == "<1@elsewhere.test>"
    assert report.message["Reporting-MTA"] == "dns; mx.lists.test"
    assert report.message["Original-Envelope-Id"] is None
    assert report.recipient["Final-Recipient"] == "rfc822; team@lists.test"
    assert report.recipient["Original-Recipient"] is None
    assert report.recipient["Action"] == "failed"
    assert report.recipient["Status"] == "5.1.1"
    assert report.recipient["Diagnostic-Code"] == "smtp; 550 5.1.1"
    assert report.recipient["Remote-MTA"] is None
    assert report.kinds[2] == "text/rfc822-headers"
    assert "team@lists.test" in report.text
    assert "k3y" in report.text


def test_what_the_sender_gave_comes_back() -> None:
    news = replace(FAILED, orcpt="rfc822;Team+2Btea@Lists.test")
    original = replace(ORIGINAL, envid="QQ+3D314")
    report = read(compose(original, news, FRAME))
    assert report.message["Original-Envelope-Id"] == "QQ=314"
    assert report.recipient["Original-Recipient"] == "rfc822; Team+tea@Lists.test"


def test_a_refusal_elsewhere_is_told_in_full() -> None:
    news = replace(
        FAILED,
        address="sam@people.test",
        text="no such person",
        host="mx.people.test[192.0.2.1]:25",
        at=AT,
        is_elsewhere=True,
    )
    report = read(compose(ORIGINAL, news, FRAME))
    assert report.recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such person"
    assert report.recipient["Remote-MTA"] == "dns; mx.people.test"
    assert report.recipient["Last-Attempt-Date"] == "Mon, 01 Jun 2026 10:00:00 +0000"
    assert "550 5.1.1 no such person" in report.text


def test_a_delay_says_until_when() -> None:
    until = datetime(2026, 6, 6, 10, tzinfo=UTC)
    news = replace(FAILED, action=Action.DELAYED, status="4.2.0", until=until)
    report = read(compose(ORIGINAL, news, FRAME))
    assert report.recipient["Will-Retry-Until"] == "Sat, 06 Jun 2026 10:00:00 +0000"
    assert "Sat, 06 Jun 2026" in report.text


@pytest.mark.parametrize("action", list(Action))
def test_the_whole_comes_back_only_of_a_failure(action: Action) -> None:
    original = replace(ORIGINAL, whole=HEAD + BODY)
    raw = compose(original, replace(FAILED, action=action), FRAME)
    is_failure = action is Action.FAILED
    assert (read(raw).kinds[2] == "message/rfc822") == is_failure
    assert (HEAD + BODY in raw) == is_failure
    assert HEAD in raw


def test_eight_bits_of_a_body_stay_as_they_are() -> None:
    whole = HEAD + "\r\nHallo Jörg\r\n".encode()
    raw = compose(replace(ORIGINAL, whole=whole), FAILED, FRAME)
    assert whole in raw
    assert read(raw).returned["Content-Transfer-Encoding"] == "8bit"


def test_a_sender_outside_ascii_reads_utf8() -> None:
    original = replace(UTF8, reverse_path="jörg@elsewhere.test", whole=UTF8_HEAD + BODY)
    news = replace(
        FAILED, address="grün@lists.test", orcpt="utf-8;gr\\x{FC}n@lists.test"
    )
    raw = compose(original, news, FRAME)
    assert "To: <jörg@elsewhere.test>\r\n".encode() in raw
    assert UTF8_HEAD + BODY in raw
    report = read(raw)
    assert report.kinds[1:] == ["message/global-delivery-status", "message/global"]
    assert report.recipient["Final-Recipient"] == "utf-8; grün@lists.test"
    assert report.recipient["Original-Recipient"] == "utf-8; grün@lists.test"
    headers = compose(replace(original, whole=None), news, FRAME)
    assert read(headers).kinds[2] == "message/global-headers"


def test_a_plain_sender_gets_a_plain_report() -> None:
    news = replace(FAILED, address="grün@lists.test", text="nö", is_elsewhere=True)
    for whole in (None, UTF8_HEAD + BODY):
        raw = compose(replace(UTF8, whole=whole), news, FRAME)
        assert raw.isascii()
        report = read(raw)
        assert report.recipient["Final-Recipient"] == "utf-8; gr\\x{FC}n@lists.test"
        payload = report.returned.get_payload(decode=True)
        if whole is None:
            assert payload == UTF8_HEAD
        else:
            assert report.kinds[2] == "message/global"
            assert report.returned["Content-Transfer-Encoding"] == "base64"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(TEXT, TEXT, TEXT, st.binary(max_size=60))
def test_nothing_from_outside_begins_a_field(
    subject: str, text: str, orcpt: str, octets: bytes
) -> None:
    head = b"X: " + octets.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
    clean = "".join(c for c in subject if c.isprintable())
    news = replace(FAILED, text=text, host=text, is_elsewhere=True)
    if dsn.is_orcpt(orcpt, utf8=True):
        news = replace(news, orcpt=orcpt)
    original = replace(ORIGINAL, subject=clean, head=head, msg_id=text)
    report = read(compose(original, news, FRAME))
    assert set(report.mail.keys()) <= {
        *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To"),
        *("Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    assert set(report.recipient.keys()) <= {
        *("Original-Recipient", "Final-Recipient", "Action", "Status"),
        *("Remote-MTA", "Diagnostic-Code"),
    }
