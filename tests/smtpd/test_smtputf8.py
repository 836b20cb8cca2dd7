"""SMTPUTF8 from the client's MAIL to the next server (RFC 6531), over real sockets."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from aliases import actions
from lists.delivery.actions import fan_out
from lists.models import Post
from smtpd.listener.policies import Site
from smtpd.models import Delivery, Message
from smtpd.reports.tasks import sweep
from tests.aliases.makers import NICK, OLGA, SAM, make_domain, make_list
from tests.sink import Received, Script, Sink
from tests.smtpd.listening import Running, listening
from tests.smtpd.reports.reading import read
from tests.smtpd.sending import run, working

pytestmark = pytest.mark.django_db(transaction=True)

JOERG = "jörg@people.test"
UEBER = "über@lists.test"
PLAIN = ("PIPELINING", "8BITMIME")
UTF8 = (*PLAIN, "SMTPUTF8")
ASCII_MAIL = "From: Nick <nick@elsewhere.test>\r\nSubject: tea\r\n\r\nGrün\r\n"


@pytest.fixture
def running(tmp_path: Path, settings: Settings) -> Iterator[Running]:
    # Django's test runner has put its own in place.
    settings.EMAIL_BACKEND = "smtpd.queue.mail.EmailBackend"
    make_domain()
    with listening(Site(), tmp_path) as running:
        yield running


def bring(running: Running, to: str, text: str, *, sender: str = NICK) -> None:
    """One session with SMTPUTF8."""
    with running.connect() as client:
        assert client.reply().startswith("220")
        assert "SMTPUTF8" in client.ask(b"EHLO client.test\r\n")
        mail = f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8\r\n"
        assert client.ask(mail.encode()).startswith("250 2.1.0")
        assert client.ask(f"RCPT TO:<{to}>\r\n".encode()).startswith("250 2.1.5")
        assert client.ask(b"DATA\r\n").startswith("354")
        assert client.ask(text.encode() + b".\r\n").startswith("250 2.0.0")


def deliver(extensions: tuple[str, ...], **rcpt: str) -> list[Received]:
    script = Script(extensions=extensions, rcpt=dict(rcpt.items()))
    with Sink(script) as sink, working(sink) as worker:
        run(worker)
        sweep()
        run(worker)
    return sink.messages


def to(mailbox: str) -> str:
    return f"To: {mailbox}\r\n{ASCII_MAIL}"


def ends() -> dict[str, tuple[str, str]]:
    rows = Delivery.objects.exclude(outgoing__message__source="site")
    return {row.address: (row.state, row.enhanced) for row in rows}


def test_an_alias_and_its_target_outside_ascii(running: Running) -> None:
    actions.create(UEBER, [JOERG])
    bring(running, UEBER, to(UEBER))
    [copy] = deliver(UTF8)
    assert copy.recipients == (JOERG,)
    assert copy.parameters.endswith(" SMTPUTF8")
    assert "with UTF8SMTP id" in copy.raw.decode()
    assert f"Delivered-To: {UEBER}\r\n" in copy.raw.decode()
    assert copy.raw.decode().endswith(to(UEBER))


def test_an_address_is_the_same_however_it_is_written(running: Running) -> None:
    actions.create(UEBER, [JOERG])
    bring(running, unicodedata.normalize("NFD", "ÜBER@lists.test"), ASCII_MAIL)
    assert ends() == {JOERG: ("queued", "")}


def test_a_server_without_it_gets_nothing_and_the_sender_a_report(
    running: Running,
) -> None:
    actions.create(UEBER, [JOERG])
    bring(running, UEBER, to(UEBER))
    [copy] = deliver(PLAIN)
    assert ends() == {JOERG: ("failed", "5.6.7")}
    assert copy.recipients == (NICK,)
    assert copy.raw.isascii()
    report = read(copy.raw)
    assert report.recipient["Status"] == "5.6.7"
    assert report.recipient["Final-Recipient"] == "utf-8; \\x{FC}ber@lists.test"


def test_a_report_goes_to_a_sender_outside_ascii(running: Running) -> None:
    actions.create("team@lists.test", [SAM])
    text = to("team@lists.test").replace("nick@elsewhere", "jörg@people")
    bring(running, "team@lists.test", text, sender=JOERG)
    [copy] = deliver(UTF8, **{SAM: "550 5.1.1 no"})
    assert (copy.sender, copy.recipients) == ("", (JOERG,))
    assert copy.parameters.endswith(" SMTPUTF8")
    report = read(copy.raw)
    assert report.kinds[1:] == [
        "message/global-delivery-status",
        "message/global-headers",
    ]


def test_what_is_plain_by_now_demands_nothing(running: Running) -> None:
    """The client asked for SMTPUTF8, and nothing that goes on needs it."""
    actions.create("team@lists.test", [SAM])
    bring(running, "team@lists.test", ASCII_MAIL)
    assert Message.objects.get().needs_utf8
    [copy] = deliver(PLAIN)
    assert copy.recipients == (SAM,)
    assert "SMTPUTF8" not in copy.parameters


def test_a_header_outside_ascii_demands_it_of_everybody(running: Running) -> None:
    actions.create("team@lists.test", [SAM])
    bring(running, "team@lists.test", "X-Tea: grün\r\n" + ASCII_MAIL)
    deliver(PLAIN)
    assert ends() == {SAM: ("failed", "5.6.7")}


def test_nobodys_plain_address_suffers_from_anothers(running: Running) -> None:
    actions.create("team@lists.test", [SAM, JOERG, OLGA])
    bring(running, "team@lists.test", ASCII_MAIL)
    copies = deliver(PLAIN)
    assert copies[0].recipients == (SAM, OLGA)
    assert ends()[JOERG] == ("failed", "5.6.7")


def test_a_list_outside_ascii(running: Running) -> None:
    make_list("grüße@lists.test", NICK, SAM)
    bring(running, "grüße@lists.test", to("grüße@lists.test"))
    fan_out(Post.objects.get().pk)
    copies = [copy for copy in deliver(UTF8) if copy.sender]
    assert {copy.recipients[0] for copy in copies} == {NICK, SAM, OLGA}
    for copy in copies:
        assert copy.parameters.endswith(" SMTPUTF8")
        # What comes back needs no SMTPUTF8 of anybody.
        assert copy.sender.isascii()


def test_copies_of_a_list_outside_ascii_need_it_for_the_header(
    running: Running,
) -> None:
    make_list("grüße@lists.test", NICK)
    bring(running, "grüße@lists.test", to("grüße@lists.test"))
    fan_out(Post.objects.get().pk)
    assert not [copy for copy in deliver(PLAIN) if copy.sender]
    assert ends()[NICK] == ("failed", "5.6.7")


def test_a_plain_list_and_an_author_outside_ascii(running: Running) -> None:
    make_list("talk@lists.test", JOERG, SAM)
    text = to("talk@lists.test").replace(NICK, JOERG)
    bring(running, "talk@lists.test", text, sender=JOERG)
    fan_out(Post.objects.get().pk)
    copies = [copy for copy in deliver(UTF8) if copy.sender]
    assert {copy.recipients[0] for copy in copies} == {JOERG, SAM, OLGA}
    assert all(copy.parameters.endswith(" SMTPUTF8") for copy in copies)


def test_a_question_of_a_list_outside_ascii_reaches_everybody(
    running: Running,
) -> None:
    """It comes from a token address, which is plain."""
    make_list("grüße@lists.test")
    bring(running, "grüße-join@lists.test", to("grüße-join@lists.test"))
    [question] = [copy for copy in deliver(PLAIN) if copy.recipients == (NICK,)]
    assert "grüße@lists.test" in question.raw.decode()


def test_an_answer_of_a_list_outside_ascii_names_it_as_it_is(
    running: Running,
) -> None:
    make_list("grüße@lists.test")
    bring(running, "grüße-request@lists.test", to("x").replace("tea", "help"))
    [answer] = [copy for copy in deliver(UTF8) if copy.recipients == (NICK,)]
    assert "From: Talk <grüße-request@lists.test>\r\n" in answer.raw.decode()
    assert answer.parameters.endswith(" SMTPUTF8")
