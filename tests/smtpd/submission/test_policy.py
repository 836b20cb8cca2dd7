"""Who may send as what, to whom, and what becomes of it."""

from __future__ import annotations

from base64 import b64encode

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from pytest_django import Settings

from aliases import actions as aliases
from lists.models import Post
from smtpd import replies
from smtpd.models import Delivery, Message, Outgoing
from smtpd.outbound.dkim import Signer
from smtpd.outbound.render import Parts, compile_parts
from smtpd.reports.actions import return_to_sender
from smtpd.submission.accounts import account_of
from tests.aliases.makers import make_list
from tests.smtpd.submission.makers import (
    FAR,
    MAIL,
    OLGA,
    SAM,
    make_domain,
    make_user,
    send,
)

pytestmark = pytest.mark.django_db


def owned(email: str = SAM) -> set[str]:
    return set(account_of(make_user(email)).addresses)


def test_mail_leaves_once_for_all_recipients_elsewhere() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    assert send(*FAR).is_positive
    outgoing = Outgoing.objects.get()
    assert outgoing.reverse_path == "sam@lists.test"
    assert outgoing.envelope == Outgoing.Envelope.FIXED
    assert sorted(Delivery.objects.values_list("address", flat=True)) == sorted(FAR)
    message = Message.objects.get()
    assert message.submitter == make_user()
    assert message.forward_paths == FAR
    assert bytes(outgoing.head) + b"\r\nHello\r\n" == bytes(message.trace) + MAIL


def test_nobody_learns_where_the_sender_sits() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    send(*FAR)
    trace = bytes(Message.objects.get().trace)
    assert trace.startswith(
        b"Received: from mx.folkmoot.test (an account of this site)\r\n"
        b"\tby mx.folkmoot.test (Folkmoot) with ESMTPSA id "
    )
    assert b"192.0.2.7" not in trace
    assert b"laptop" not in trace
    assert SAM.encode() not in trace


def test_it_is_signed_in_the_name_of_the_author() -> None:
    domain = make_domain(dkim="ed25519")
    aliases.create("sam@lists.test", [SAM])
    send("nick@far.test")
    outgoing = Outgoing.objects.get()
    assert outgoing.dkim_domain == domain
    signer = Signer(domain.name, domain.dkim_selector, domain.dkim_key)
    parts = Parts(bytes(outgoing.head), b"", b"Hello\r\n")
    compiled = compile_parts(parts, signer, signed_at=1)
    copy = compiled.sign() + compiled.copy().removesuffix(b".\r\n")
    assert dkim.verify(copy, dnsfunc=lambda name, timeout=5: _record(domain.dkim_key))


def _record(pem: str) -> bytes:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, Ed25519PrivateKey)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + b64encode(raw)


def test_mail_inside_and_outside_is_one_message() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    aliases.create("team@lists.test", [OLGA])
    assert send("team@lists.test", *FAR).is_positive
    assert Message.objects.count() == 1
    assert Outgoing.objects.count() == 2
    assert Delivery.objects.count() == 3


def test_a_member_without_an_address_here_writes_only_to_addresses_here() -> None:
    make_domain()
    make_list("talk@lists.test", SAM)
    raw = MAIL.replace(b"sam@lists.test", SAM.encode())
    assert send("talk@lists.test", sender=SAM, raw=raw).is_positive
    assert Post.objects.get().state == Post.State.ACCEPTED
    assert send(*FAR, sender=SAM, raw=raw) == replies.CANNOT_LEAVE


def test_an_unknown_address_here_is_refused_as_for_everybody() -> None:
    make_domain(admin=SAM)
    assert send("nobody@lists.test") == replies.NO_SUCH_USER


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "localhost"])
def test_mail_does_not_leave_for_what_cannot_be_looked_up(domain: str) -> None:
    make_domain(admin=SAM)
    assert send(f"nick@{domain}") == replies.RELAY_DENIED


def test_whose_mail_it_gets_may_write_as_it() -> None:
    make_domain()
    aliases.create("sam@lists.test", ["Sam@Home.test"])
    aliases.create("help@lists.test", ["sam@lists.test", OLGA])
    off = aliases.create("old@lists.test", [SAM])
    aliases.disable(off)
    make_list("talk@lists.test", OLGA)
    assert owned() == {SAM, "sam@lists.test", "help@lists.test"}
    assert owned(OLGA) == {OLGA, "help@lists.test"}


def test_an_owner_writes_as_the_owner_and_not_as_the_list() -> None:
    make_domain()
    make_list("talk@lists.test")
    # The makers' lists belong to this olga.
    assert owned("olga@people.test") == {
        "olga@people.test",
        "talk-owner@lists.test",
    }


def test_an_address_here_is_ones_own_while_it_takes_mail() -> None:
    make_domain()
    assert owned("sam@lists.test") == set()
    alias = aliases.create("sam@lists.test", [SAM])
    assert owned("sam@lists.test") == {"sam@lists.test"}
    aliases.disable(alias)
    assert owned("sam@lists.test") == set()


@pytest.mark.parametrize(
    ("sender", "is_good"),
    [
        ("sam@lists.test", True),
        ("SAM@LISTS.test", True),
        ("sam+tea@lists.test", True),
        (SAM, True),
        ("", True),
        ("olga@lists.test", False),
        ("sam@far.test", False),
        ("sam@sub.lists.test", False),
    ],
)
def test_who_may_be_the_sender(sender: str, is_good: bool) -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    aliases.create("olga@lists.test", [OLGA])
    reply = send("nick@far.test", sender=sender)
    wanted = replies.NOT_YOUR_SENDER.fill(name=SAM, mailbox=sender)
    assert reply.is_positive if is_good else reply == wanted


def test_a_domains_admin_writes_as_any_address_of_it() -> None:
    make_domain(admin=SAM)
    raw = MAIL.replace(b"sam@lists.test", b"anybody@lists.test")
    assert send(*FAR, sender="somebody@lists.test", raw=raw).is_positive
    raw = MAIL.replace(b"sam@lists.test", b"anybody@other.test")
    assert send(*FAR, raw=raw) == replies.NOT_YOUR_AUTHOR.fill(name=SAM)


@pytest.mark.parametrize(
    "head",
    [
        b"From: Olga <olga@lists.test>",
        b"From: sam@lists.test, olga@lists.test",
        b"From: sam@lists.test\r\nSender: olga@lists.test",
        b"From: samuel",
        b"From: friends:;",
        b"From: nick@far.test\r\nResent-From: sam@lists.test",
    ],
)
def test_somebody_else_in_from_is_refused(head: bytes) -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    raw = MAIL.replace(b"From: Sam <sam@lists.test>", head)
    assert send(*FAR, raw=raw) == replies.NOT_YOUR_AUTHOR.fill(name=SAM)
    assert not Message.objects.exists()


def test_what_is_missing_is_put_in_and_bcc_taken_out() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    raw = b"From: sam\r\nBcc: kim@away.test\r\nSubject: tea\r\n\r\nHello\r\n"
    assert send(*FAR, raw=raw).is_positive
    message = Message.objects.get()
    kept = bytes(message.raw)
    assert kept.startswith(b"From: sam@lists.test\r\nSubject: tea\r\nDate: ")
    assert b"kim" not in kept
    assert message.msg_id.endswith("@lists.test>")


def test_a_day_has_an_end(settings: Settings) -> None:
    settings.SUBMISSION_DAILY_RECIPIENTS = 3
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    limit = replies.DAY_LIMIT.fill(name=SAM)
    assert send(*FAR).is_positive
    assert send(*FAR) == limit, "at the dot: one too many"
    assert send("nick@far.test").is_positive
    assert send("nick@far.test") == limit
    aliases.create("olga@lists.test", [OLGA])
    raw = MAIL.replace(b"sam@", b"olga@")
    others = send("nick@far.test", email=OLGA, sender="olga@lists.test", raw=raw)
    assert others.is_positive
    settings.SUBMISSION_DAILY_RECIPIENTS = 0
    assert send(*FAR).is_positive


def test_the_sender_hears_of_each_recipient_that_failed() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    send(*FAR)
    Delivery.objects.update(
        state="failed", code=550, enhanced="5.1.1", text="No such person"
    )
    ids = list(Delivery.objects.values_list("pk", flat=True))
    assert return_to_sender(ids) == 2
    assert return_to_sender(ids) == 0
    reports = list(Message.objects.filter(source=Message.Source.SITE))
    assert [report.forward_paths for report in reports] == [["sam@lists.test"]] * 2
    assert {report.author for report in reports} == {"postmaster@lists.test"}
    told = b"".join(bytes(report.raw) for report in reports)
    assert all(address.encode() in told for address in FAR)
    assert b"No such person" in told


def test_the_sender_hears_of_a_recipient_that_was_refused_at_the_dot() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    make_list("talk@lists.test", others="refuse")
    assert send("talk@lists.test").code == 550, "alone, the reply says it"
    assert send("talk@lists.test", *FAR).is_positive
    report = Message.objects.get(source=Message.Source.SITE)
    assert report.forward_paths == ["sam@lists.test"]
    assert b"talk@lists.test" in bytes(report.raw)
    assert b"550 5.7.1 Only subscribers may post" in bytes(report.raw)


def test_what_the_sender_wants_to_hear_goes_along_with_each() -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    far = [*FAR, "eve@far.test"]
    notify = {far[0]: "SUCCESS", far[2]: "SUCCESS"}
    assert send(*far, notify=notify).is_positive
    rows = Outgoing.objects.values_list("notify", "deliveries__address")
    asked: dict[str, set[str]] = {}
    for wish, address in rows:
        asked.setdefault(wish, set()).add(address)
    assert asked == {"SUCCESS": {far[0], far[2]}, "": {far[1]}}
    assert Outgoing.objects.count() == 2
