from __future__ import annotations

import base64
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

from aliases import actions
from aliases.models import Alias, Target
from smtpd import intake, replies
from smtpd.envelope import Envelope
from smtpd.models import Delivery, Domain, Event, Message, Outgoing
from smtpd.replies import Reply
from smtpd.routing import Route
from tests.aliases.makers import (
    MAIL,
    NICK,
    OLGA,
    SAM,
    copy_of,
    make_admin,
    make_domain,
    make_list,
    resolve,
    send,
    sent_to,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def domain() -> Domain:
    return make_domain()


def test_every_target_gets_a_row_in_the_ledger() -> None:
    actions.create("team@lists.test", [SAM, OLGA])
    assert send("team@lists.test").is_positive
    assert sent_to() == [OLGA, SAM]
    outgoing = Outgoing.objects.get()
    assert outgoing.lane == Outgoing.Lane.FAST
    assert outgoing.envelope == Outgoing.Envelope.FIXED
    assert outgoing.reverse_path == NICK
    assert outgoing.dkim_domain is None
    event = Event.objects.get(kind="expanded")
    assert event.text == "team@lists.test: expanded to 2 targets."


def test_bytes_are_the_same_behind_our_trace_fields() -> None:
    actions.create("team@lists.test", [SAM])
    send("team@lists.test")
    message = Message.objects.get()
    trace = bytes(message.trace)
    assert trace.startswith(b"Received: from client.test")
    assert copy_of(message) == trace + b"Delivered-To: team@lists.test\r\n" + MAIL


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\nonly a body\r\n",
        b"Subject: only a header\r\n",
        b"Subject: no body\r\n\r\n",
        b"Subject: x\r\n\r\n\r\nan empty line first\r\n",
        b"no field at all\r\nFrom: x@y.test\r\n\r\n\xff\xfe\r\n",
    ],
)
def test_bytes_stay_whatever_the_message(raw: bytes) -> None:
    actions.create("team@lists.test", [SAM])
    assert send("team@lists.test", raw=raw).is_positive
    message = Message.objects.get()
    start = len(bytes(message.trace)) + len(b"Delivered-To: team@lists.test\r\n")
    expected = raw if b"\r\n\r\n" in raw or raw.startswith(b"\r\n") else raw + b"\r\n"
    assert copy_of(message)[start:] == expected


def test_the_authors_signature_still_verifies() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    public = base64.b64encode(
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )

    def dns(name: bytes, timeout: int = 5) -> bytes:
        return b"v=DKIM1; k=rsa; p=" + public

    signature = dkim.sign(
        MAIL,
        b"s",
        b"elsewhere.test",
        pem,
        canonicalize=(b"simple", b"simple"),
        include_headers=[b"from", b"to", b"subject", b"message-id"],
    )
    actions.create("team@lists.test", [SAM])
    send("team@lists.test", raw=signature + MAIL)
    copy = copy_of(Message.objects.get())
    assert dkim.verify(copy, dnsfunc=dns)
    assert not dkim.verify(copy.replace(b"odd   spaces", b"odd spaces"), dnsfunc=dns)


def test_the_null_sender_stays_null() -> None:
    actions.create("team@lists.test", [SAM])
    assert send("team@lists.test", sender="").is_positive
    assert Outgoing.objects.get().reverse_path == ""


def test_aliases_of_aliases_are_expanded_and_nobody_twice() -> None:
    actions.create("left@lists.test", [SAM, "Olga@people.test"])
    actions.create("right@lists.test", ["SAM@people.test", NICK])
    actions.create("top@lists.test", ["left@lists.test", "right@lists.test"])
    send("top@lists.test")
    assert sorted(map(str.lower, sent_to())) == sorted([SAM, OLGA, NICK])


def test_a_target_reached_by_two_recipients_gets_one_copy() -> None:
    actions.create("one@lists.test", [SAM, OLGA])
    actions.create("two@lists.test", ["SAM@people.test", NICK])
    assert send("one@lists.test", "two@lists.test").is_positive
    assert sorted(map(str.lower, sent_to())) == sorted([SAM, OLGA, NICK])


def test_a_tag_is_stripped() -> None:
    actions.create("team@lists.test", [SAM])
    assert send("team+news@lists.test").is_positive
    assert b"Delivered-To: team@lists.test\r\n" in copy_of(Message.objects.get())


def test_expanded_once_and_later_changes_do_not_matter() -> None:
    alias = actions.create("team@lists.test", [SAM])
    send("team@lists.test")
    actions.update(alias, [NICK])
    assert sent_to() == [SAM]
    actions.delete(alias)
    assert sent_to() == [SAM]


def test_an_alias_deleted_after_rcpt_keeps_its_promise() -> None:
    alias = actions.create("team@lists.test", [SAM])
    route = resolve("team@lists.test")
    assert isinstance(route, Route)
    actions.delete(alias)
    envelope = Envelope(NICK, [route], ["team@lists.test"])
    assert intake.accept(envelope, MAIL).is_positive
    assert sent_to() == [SAM]


def test_a_list_behind_an_alias_is_asked_by_its_own_door() -> None:
    make_list("open@lists.test", SAM, posters="anyone")
    make_list("closed@lists.test", SAM, posters="owners", others="refuse")
    actions.create("both@lists.test", ["open@lists.test", "closed@lists.test", NICK])
    found = resolve("both@lists.test")
    assert isinstance(found, Route)
    assert [(r.door, r.kind) for r in found.onward] == [("lists", "post")] * 2
    assert found.recipients == (NICK,)
    assert send("both@lists.test").is_positive
    assert sent_to() == [NICK]
    refusal = Event.objects.get(kind="refused")
    assert refusal.text.startswith("closed@lists.test")


def test_an_alias_of_lists_only_speaks_for_them() -> None:
    make_list("closed@lists.test", SAM, posters="owners", others="refuse")
    actions.create("only@lists.test", ["closed@lists.test"])
    reply = send("only@lists.test")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert not Outgoing.objects.exists()
    assert not Message.objects.exists()


def test_mail_that_was_here_before_is_refused() -> None:
    actions.create("team@lists.test", [SAM])
    reply = send("team@lists.test", raw=b"Delivered-To: <Team@lists.test>\r\n" + MAIL)
    assert reply == replies.LOOP
    other = b"Delivered-To: other@lists.test\r\n"
    assert send("team@lists.test", raw=other + MAIL).is_positive


def make_raw_alias(address: str, *targets: str) -> Alias:
    """As it could stand in the database, unchecked."""
    alias = actions.create(address, ["x@people.test"])
    alias.targets.all().delete()
    Target.objects.bulk_create(Target(alias=alias, mailbox=t) for t in targets)
    return alias


@pytest.mark.parametrize(
    "other", ["a@lists.test", "b+tag@lists.test"], ids=["cycle", "tagged cycle"]
)
def test_a_cycle_at_run_time_is_refused(other: str) -> None:
    make_raw_alias("a@lists.test", "b@lists.test")
    make_raw_alias("b@lists.test", other)
    assert resolve("a@lists.test") == replies.ALIAS_TOO_WIDE
    assert replies.ALIAS_TOO_WIDE.enhanced == "5.4.6"


def test_eleven_levels_are_refused() -> None:
    for number in range(11):
        make_raw_alias(f"a{number}@lists.test", f"a{number + 1}@lists.test")
    Target.objects.filter(mailbox="a11@lists.test").update(mailbox=SAM)
    assert resolve("a0@lists.test") == replies.ALIAS_TOO_WIDE
    assert isinstance(resolve("a1@lists.test"), Route)


def test_a_thousand_and_one_targets_are_refused() -> None:
    make_raw_alias("wide@lists.test", *(f"p{n}@people.test" for n in range(1000)))
    found = resolve("wide@lists.test")
    assert isinstance(found, Route)
    assert len(found.recipients) == 1000
    Target.objects.create(
        alias=Alias.objects.get(address__local_part="wide"), mailbox=SAM
    )
    assert resolve("wide@lists.test") == replies.ALIAS_TOO_WIDE


def test_an_expansion_costs_a_few_statements_a_level(
    django_assert_max_num_queries: Any,
) -> None:
    actions.create("low@lists.test", [f"p{n}@people.test" for n in range(500)])
    actions.create("top@lists.test", ["low@lists.test", SAM])
    with django_assert_max_num_queries(4):
        resolve("top@lists.test")


def test_a_target_elsewhere_costs_three_statements(
    django_assert_num_queries: Any,
) -> None:
    actions.create("team@lists.test", [SAM])
    with django_assert_num_queries(3):
        assert isinstance(resolve("team+tag@lists.test"), Route)


def test_a_disabled_target_is_left_out() -> None:
    actions.disable(actions.create("off@lists.test", [SAM]))
    actions.create("team@lists.test", ["off@lists.test", "gone@lists.test", OLGA])
    send("team@lists.test")
    assert sent_to() == [OLGA]


def test_an_alias_that_leads_to_nobody_is_refused() -> None:
    actions.disable(actions.create("off@lists.test", [SAM]))
    actions.create("team@lists.test", ["off@lists.test", "gone@lists.test"])
    assert resolve("team@lists.test") == replies.LEADS_NOWHERE


def test_a_disabled_alias_is_refused() -> None:
    actions.disable(actions.create("off@lists.test", [SAM]))
    assert resolve("off@lists.test") == replies.DISABLED
    assert resolve("off+tag@lists.test") == replies.DISABLED


@pytest.mark.parametrize("role", ["postmaster", "PostMaster", "abuse", "postmaster+x"])
def test_role_mail_goes_to_the_domains_admins(role: str, domain: Domain) -> None:
    root, olga = make_admin(), make_admin(OLGA)
    found = resolve(f"{role}@lists.test")
    assert isinstance(found, Route)
    assert set(found.recipients) == {root.email, OLGA}
    domain.admins.add(olga)
    found = resolve(f"{role}@lists.test")
    assert isinstance(found, Route)
    assert found.recipients == (OLGA,)


def test_postmaster_needs_no_row() -> None:
    make_admin(OLGA)
    Domain.objects.create(name="bare.test")
    assert send("postmaster@bare.test").is_positive
    assert send("abuse@bare.test").is_positive
    assert sent_to() == [OLGA, OLGA]
    heads = [bytes(outgoing.head) for outgoing in Outgoing.objects.order_by("id")]
    assert b"Delivered-To: postmaster@bare.test\r\n" in heads[0]
    assert isinstance(resolve("nobody@bare.test"), Reply)


def test_postmaster_is_accepted_even_without_anybody() -> None:
    assert send("postmaster@lists.test").is_positive
    assert sent_to() == []
    kept = Event.objects.get(kind="kept")
    assert kept.text == "postmaster@lists.test: nobody is behind it."
    assert resolve("abuse@lists.test") == replies.LEADS_NOWHERE


def test_postmaster_is_reached_in_a_closed_domain(domain: Domain) -> None:
    make_admin(OLGA)
    domain.is_active = False
    domain.save()
    actions.create("team@lists.test", [SAM])
    assert send("postmaster@lists.test").is_positive
    assert sent_to() == [OLGA]
    assert resolve("team@lists.test") == replies.DISABLED


def test_postmaster_is_reached_through_a_broken_expansion() -> None:
    make_admin(OLGA)
    postmaster = Alias.objects.get(address__local_part="postmaster")
    Target.objects.create(alias=postmaster, mailbox="a@lists.test")
    make_raw_alias("a@lists.test", "a@lists.test")
    assert send("postmaster@lists.test").is_positive
    assert sent_to() == [OLGA]


def test_an_admin_behind_an_alias_is_found(domain: Domain) -> None:
    actions.create("root@lists.test", [SAM])
    domain.admins.add(make_admin("root@lists.test"))
    assert send("abuse@lists.test").is_positive
    assert sent_to() == [SAM]


def test_an_admin_at_the_postmaster_address_is_no_endless_loop(
    domain: Domain,
) -> None:
    domain.admins.add(make_admin("postmaster@lists.test"))
    assert send("postmaster@lists.test").is_positive
    assert Delivery.objects.count() == 0
    assert Event.objects.filter(kind="kept").exists()
