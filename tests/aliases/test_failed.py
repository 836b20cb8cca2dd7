from __future__ import annotations

import email
from email.message import Message as MimeMessage

import pytest
from pytest_django import Settings

from aliases import actions, inbound
from smtpd.models import Delivery, Domain, Event, Message, Outgoing
from tests.aliases.makers import MAIL, NICK, OLGA, SAM, make_domain, make_list, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _alias(settings: Settings) -> None:
    # Django's test runner has put its own in place.
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    actions.create("team@lists.test", [SAM, OLGA])


def fail_all() -> list[int]:
    Delivery.objects.update(
        state="failed", code=550, enhanced="5.1.1", text=f"no {SAM} here"
    )
    return list(Delivery.objects.values_list("pk", flat=True))


def reports() -> list[Message]:
    return list(Message.objects.filter(source=Message.Source.SITE))


def parts(report: Message) -> list[MimeMessage]:
    mail = email.message_from_bytes(bytes(report.raw))
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    found = mail.get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, MimeMessage)]


def test_the_sender_is_told() -> None:
    send("team@lists.test")
    inbound.failed(fail_all())
    [report] = reports()
    outgoing = Outgoing.objects.get(message=report)
    assert outgoing.reverse_path == ""
    assert outgoing.deliveries.get().address == NICK
    text, status, headers = parts(report)
    assert "team@lists.test" in str(text.get_payload())
    assert status.get_content_type() == "message/delivery-status"
    blocks = status.get_payload()
    assert isinstance(blocks, list)
    recipient = blocks[1]
    assert isinstance(recipient, MimeMessage)
    assert recipient["Final-Recipient"] == "rfc822; team@lists.test"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert headers.get_content_type() == "text/rfc822-headers"
    decoded = headers.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    assert decoded.rstrip() == MAIL.partition(b"\r\n\r\n")[0]
    assert Event.objects.filter(kind="returned").count() == 1


def test_who_is_behind_the_alias_is_not_told() -> None:
    send("team@lists.test")
    inbound.failed(fail_all())
    [report] = reports()
    raw = bytes(report.raw)
    assert SAM.encode() not in raw
    assert OLGA.encode() not in raw


@pytest.mark.parametrize("may_disclose", [True, False])
@pytest.mark.parametrize("way", ["refer", "forward"])
def test_where_a_target_moved_is_told_only_by_choice(
    settings: Settings, way: str, *, may_disclose: bool
) -> None:
    settings.MOVED_DISCLOSE = may_disclose
    Domain.objects.update(correction=way)
    send("team@lists.test")
    ids = fail_all()
    Delivery.objects.update(
        code=551, enhanced="5.1.6", text=f"{SAM} not local; please try <sam@new.test>"
    )
    inbound.failed(ids)
    [report] = reports()
    raw = bytes(report.raw)
    assert b"smtp; 551 5.1.6" in raw
    assert b"Status: 5.1.6" in raw
    is_told = may_disclose and way == "refer"
    assert (b"has moved to <sam@new.test>" in raw) == is_told
    assert (b"sam@new.test" in raw) == is_told
    assert SAM.encode() not in raw


def test_telling_twice_reports_once() -> None:
    send("team@lists.test")
    failed = fail_all()
    inbound.failed(failed[:1])
    inbound.failed(failed)
    assert len(reports()) == 1


def test_who_wrote_on_the_web_is_told() -> None:
    send("team@lists.test", source=Message.Source.WEB)
    inbound.failed(fail_all())
    assert [report.forward_paths for report in reports()] == [[NICK]]


def test_the_null_sender_is_not_told() -> None:
    send("team@lists.test", sender="")
    inbound.failed(fail_all())
    assert reports() == []


def test_a_report_that_fails_is_not_reported() -> None:
    send("team@lists.test")
    inbound.failed(fail_all())
    inbound.failed(fail_all())
    assert len(reports()) == 1


def test_what_did_not_fail_is_not_reported() -> None:
    send("team@lists.test")
    inbound.failed(list(Delivery.objects.values_list("pk", flat=True)))
    assert reports() == []


def test_hostile_fields_stay_inside_the_report() -> None:
    subject = b"Subject: =?utf-8?q?a=0D=0ABcc:_x@y.test?=\r\n"
    raw = subject + b"Message-ID: <1\x01@x>\r\n\r\nx\r\n"
    assert send("team@lists.test", raw=raw).is_positive
    inbound.failed(fail_all())
    [report] = reports()
    mail = email.message_from_bytes(bytes(report.raw))
    assert mail["Bcc"] is None
    assert [
        d.address for d in Outgoing.objects.get(message=report).deliveries.all()
    ] == [NICK]


def test_a_report_that_cannot_be_written_keeps_nobody_waiting() -> None:
    send("team@lists.test")
    send("team@lists.test", raw=MAIL.replace(b"<1@", b"<2@"))
    first = Message.objects.earliest("pk")
    Message.objects.filter(pk=first.pk).update(subject="a\x01b")
    inbound.failed(fail_all())
    assert len(reports()) == 1
    assert "no report" in first.events.get(kind="returned").text


def test_mail_for_a_lists_owner_is_returned_too() -> None:
    make_list("talk@lists.test")
    send("talk-owner@lists.test")
    inbound.failed(fail_all())
    [report] = reports()
    assert b"talk-owner@lists.test" in bytes(report.raw)
