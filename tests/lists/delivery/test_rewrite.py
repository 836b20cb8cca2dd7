from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lists.delivery.rewrite import Compiled, Original, Style, rewrite
from smtpd import fields
from tests.lists.delivery.test_footer import parts_of
from tests.lists.posts import make_mail

STYLE = Style(
    name="Zed",
    address="z@example.com",
    domain="example.com",
    list_id="z.example.com",
    base_url="https://site.test",
)
TRACE = b"Received: from a by b with ESMTP id 1; Mon, 1 Jun 2026 10:00:00 +0000\r\n"
DATE = "Date: Mon, 01 Jun 2026 10:00:00 +0000"


def compiled(style: Style, raw: bytes) -> Compiled:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    return rewrite(style, Original(raw, TRACE, "<made@example.com>", noon, 7))


def copy_of(raw: bytes, **changes: Any) -> bytes:
    made = compiled(replace(STYLE, **changes), raw)
    body = raw[fields.split(raw)[1] :] if made.body is None else made.body
    return made.head + made.copy_head.replace(b"{token}", b"t0k3n") + b"\r\n" + body


def values(raw: bytes, name: str) -> list[str]:
    found, _ = fields.split(raw)
    return [field.value.decode() for field in found if field.name == name.lower()]


def test_a_copy_says_which_list_it_is_from() -> None:
    copy = copy_of(make_mail(DATE), is_archived=True)
    found, _ = fields.split(copy)
    ours = {
        field.name: field.value.decode()
        for field in found
        if field.name.startswith("list-") or field.name == "archived-at"
    }
    assert ours == {
        "list-id": "Zed <z.example.com>",
        "list-help": "<mailto:z-request@example.com?subject=help>,"
        " <https://site.test/lists/z@example.com/>",
        "list-subscribe": "<https://site.test/lists/z@example.com/>,"
        " <mailto:z-join@example.com>",
        "list-post": "<mailto:z@example.com>",
        "list-owner": "<mailto:z-owner@example.com>",
        "list-archive": "<https://site.test/lists/z@example.com/posts/>",
        "archived-at": "<https://site.test/lists/z@example.com/posts/7/>",
        "list-unsubscribe": "<https://site.test/u/t0k3n>,"
        " <mailto:leave+t0k3n@example.com>",
        "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    }
    assert values(copy, "precedence") == ["list"]


def test_what_is_not_changed_on_purpose_stays_byte_for_byte() -> None:
    raw = make_mail(
        DATE, "X-ODD:   two  spaces\r\n\tand a fold ", "subject :weird", "Sender: a@b.c"
    )
    copy = copy_of(raw)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert copy.startswith(TRACE + head + b"\r\nList-Id: ")
    assert copy.endswith(b"\r\n\r\n" + body)


def test_an_announcement_list_takes_no_answers() -> None:
    assert values(copy_of(make_mail(), is_announce=True), "list-post") == ["NO"]


def test_a_list_that_is_not_archived_points_to_no_archive() -> None:
    copy = copy_of(make_mail("Archived-At: <https://evil.test/>"))
    assert values(copy, "archived-at") == values(copy, "list-archive") == []


@pytest.mark.parametrize(
    "field",
    [
        "List-Id: Other <o.elsewhere.test>",
        "List-Unsubscribe: <https://evil.test/>",
        "LIST-UNSUBSCRIBE-POST: x",
        "List-X-Made-Up: x",
        "Return-Path: <a@b>",
        "Delivered-To: sam@people.test",
        "Precedence: bulk",
        "Approved: secret",
        "X-Approved: secret",
        "Urgent: secret",
        "X-Mailman-Approved-At: now",
        "Disposition-Notification-To: sam@people.test",
        "Return-Receipt-To: sam@people.test",
        "Bcc: secret@people.test",
        "Resent-Bcc: secret@people.test",
        "Content-Length: 4",
        ">From sam@people.test Mon Jun  1 10:00:00 2026",
    ],
)
def test_what_others_wrote_for_themselves_goes(field: str) -> None:
    copy = copy_of(make_mail(field))
    assert field.encode() not in copy
    assert copy == copy_of(make_mail())


@pytest.mark.parametrize("before", [(), ("Reply-To: sam@other.test",)])
def test_replies_go_where_the_list_says(before: tuple[str, ...]) -> None:
    raw = make_mail(*before)
    kept = [value.partition(": ")[2] for value in before]
    assert values(copy_of(raw), "reply-to") == kept
    copy = copy_of(raw, replies_go_to_list=True)
    assert values(copy, "reply-to") == ["z@example.com"]


def test_a_message_gets_the_fields_it_must_have() -> None:
    copy = copy_of(b"From: sam@people.test\r\nMessage-ID:\r\n\r\nHello\r\n")
    assert "<made@example.com>" in values(copy, "message-id")
    assert values(copy, "date") == ["Mon, 01 Jun 2026 12:00:00 +0000"]
    again = copy_of(make_mail(DATE))
    assert len(values(again, "message-id")) == len(values(again, "date")) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "<z.example.com>"),
        ('A "B", C', '"A \\"B\\", C" <z.example.com>'),
        ("Zed\r\nBcc: nick@elsewhere.test", '"Zed Bcc: nick@elsewhere.test"'),
    ],
)
def test_the_name_of_a_list_is_quoted(name: str, shown: str) -> None:
    copy = copy_of(make_mail(), name=name)
    assert shown in values(copy, "list-id")[0]
    assert values(copy, "bcc") == []


@pytest.mark.parametrize("name", ["Zédé", "Список рассылки " * 6, "名前" * 40])
def test_only_the_name_of_a_list_is_encoded(name: str) -> None:
    copy = copy_of(make_mail(), name=name)
    value = values(copy, "list-id")[0]
    assert value.isascii()
    assert value.endswith(" <z.example.com>")
    assert fields.text(value.encode()) == f"{name.strip()} <z.example.com>"
    # RFC 2047 2: an encoded word has at most 75 characters.
    assert max(map(len, value.split())) <= 75


def test_the_prefix_stands_where_the_subject_stood() -> None:
    copy = copy_of(make_mail(DATE), subject_prefix="[Z]")
    assert values(copy, "subject") == ["[Z] hi"]
    assert b"Subject: [Z] hi\r\nMessage-ID: " in copy


def test_a_footer_brings_the_link_of_each_copy() -> None:
    made = compiled(replace(STYLE, footer="Leave: {unsubscribe}"), make_mail(DATE))
    assert made.body == b"Hello\r\n\r\nLeave: https://site.test/u/\r\n"
    assert made.splices == (len(made.body) - 2,)


def test_a_wrapped_body_keeps_its_own_fields() -> None:
    raw = make_mail(DATE, "Content-Type: text/html", "Content-Language: de")
    copy = copy_of(raw, footer="Bye")
    message = message_from_bytes(copy)
    assert message.get_content_type() == "multipart/mixed"
    assert message["MIME-Version"] == "1.0"
    assert message["Content-Language"] is None
    first, last = parts_of(message)
    assert (first["Content-Type"], first["Content-Language"]) == ("text/html", "de")
    assert last.get_payload() == "Bye"


def test_compiling_twice_gives_the_same_bytes() -> None:
    style = replace(STYLE, footer="Bye {unsubscribe}", subject_prefix="[Z]")
    raw = make_mail("Content-Type: text/html")
    assert compiled(style, raw) == compiled(style, raw)


KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
)


def key_in_dns(name: bytes, timeout: int = 5) -> bytes:
    lines = PUBLIC.splitlines()[1:-1]
    return b"v=DKIM1; k=rsa; p=" + b"".join(lines)


def signed(raw: bytes) -> bytes:
    """The mail as its author's server signs it."""
    names = [b"from", b"to", b"subject", b"date", b"message-id", b"reply-to"]
    signature = dkim.sign(
        raw, b"s", b"people.test", PRIVATE, include_headers=names,
        canonicalize=(b"simple", b"simple"),
    )  # fmt: skip
    assert isinstance(signature, bytes)
    return signature + raw


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("Subject: =?utf-8?q?caf=C3=A9?=\r\n =?utf-8?q?_bar?=",),
        ("Content-Type: multipart/mixed; boundary=x", "Precedence: bulk"),
        ("List-Id: <o.elsewhere.test>", "Reply-To: sam@other.test"),
    ],
)
def test_the_signature_of_the_author_holds(extra: tuple[str, ...]) -> None:
    raw = signed(make_mail(DATE, *extra, body="Hello  \r\n.dot\r\n\r\n\r\n"))
    assert dkim.verify(raw, dnsfunc=key_in_dns)
    assert dkim.verify(copy_of(raw, is_archived=True), dnsfunc=key_in_dns)


def test_a_prefix_or_a_footer_ends_the_signature_of_the_author() -> None:
    raw = signed(make_mail(DATE))
    assert not dkim.verify(copy_of(raw, subject_prefix="[Z]"), dnsfunc=key_in_dns)
    assert not dkim.verify(copy_of(raw, footer="Bye"), dnsfunc=key_in_dns)
