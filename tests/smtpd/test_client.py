"""Our side of the conversation with the next server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smtpd.outbound.client import Connection
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.relay import TLS, Hop
from smtpd.outbound.results import Outcome, Reply, result
from smtpd.outbound.transaction import Transaction
from smtpd.outbound.wire import Timeouts
from tests import certificates
from tests.sink import Script, Sink

SENT, LATER, FAILED = Outcome.SENT, Outcome.TRY_LATER, Outcome.FAILED
QUICK = Timeouts(connect=2, greeting=2, command=1, data=1, dot=1, transaction=9)
STEPWISE = ("SIZE 50000000", "8BITMIME", "SMTPUTF8")


def hop_to(sink: Sink, **told: Any) -> Hop:
    plain = Hop("127.0.0.1", sink.port, tls=TLS.NONE, helo="mx.lists.test")
    return replace(plain, **told)


def make(
    *recipients: str, body: bytes = b"Subject: a\r\n\r\nHi\r\n", **told: Any
) -> Transaction:
    data = body + b".\r\n"
    return Transaction(
        "olga@lists.test",
        recipients or ("sam@home.test",),
        lambda: data,
        size=len(body),
        **told,
    )


def send(
    hop: Hop, *transactions: Transaction, timeouts: Timeouts = QUICK
) -> list[Transaction]:
    """Send them over one connection; return those the server had not seen."""

    async def work() -> list[Transaction]:
        waiting = list(transactions)
        unsent: list[Transaction] = []
        connection = await Connection.open(hop, timeouts)

        def take() -> Transaction | None:
            return waiting.pop(0) if waiting else None

        lost = await connection.send(take, lambda transaction: None)
        await connection.close()
        if lost is not None:
            unsent.append(lost)
        return unsent + waiting

    return asyncio.run(work())


def outcomes(transaction: Transaction) -> list[Outcome | None]:
    return [known.outcome if known else None for known in transaction.results]


@pytest.fixture(params=["pipelining", "stepwise"])
def extensions(request: pytest.FixtureRequest) -> tuple[str, ...]:
    both = {"pipelining": ("PIPELINING", *STEPWISE), "stepwise": STEPWISE}
    return both[request.param]


def test_message_arrives_byte_for_byte(extensions: tuple[str, ...]) -> None:
    transaction = make("sam@home.test", "mori@home.test", needs_8bit=True)
    with Sink(Script(extensions=extensions)) as sink:
        assert send(hop_to(sink), transaction) == []
    (message,) = sink.messages
    assert message.sender == "olga@lists.test"
    assert message.recipients == ("sam@home.test", "mori@home.test")
    assert message.raw == b"Subject: a\r\n\r\nHi\r\n"
    assert message.parameters == " SIZE=18 BODY=8BITMIME"
    assert message.helo == "mx.lists.test"
    assert outcomes(transaction) == [SENT, SENT]
    (known, _) = transaction.results
    assert known is not None
    assert (known.code, known.enhanced, known.text) == (250, "2.0.0", "taken as 1")


def test_a_hundred_messages_take_one_connection(extensions: tuple[str, ...]) -> None:
    transactions = [make(f"sam{at}@home.test") for at in range(100)]
    with Sink(Script(extensions=extensions)) as sink:
        assert send(hop_to(sink), *transactions) == []
    assert sink.recipients() == [f"sam{at}@home.test" for at in range(100)]
    assert sink.connections == 1


def test_large_message_arrives_whole() -> None:
    body = b"Subject: a\r\n\r\n" + b"0123456789\r\n" * 500_000
    with Sink() as sink:
        send(hop_to(sink), make(body=body), make(body=body))
    assert [message.raw for message in sink.messages] == [body, body]


def test_recipients_are_judged_one_by_one(extensions: tuple[str, ...]) -> None:
    script = Script(
        extensions=extensions,
        rcpt={
            "b@x.test": "450 4.2.1 later",
            "c@x.test": "550 5.1.1 who",
            "d@x.test": "251 2.1.5 will forward",
            "e@x.test": "551 5.1.6 try <f@x.test>",
        },
    )
    first = make(*(f"{letter}@x.test" for letter in "abcde"))
    second = make("sam@home.test")
    with Sink(script) as sink:
        send(hop_to(sink), first, second)
    assert outcomes(first) == [SENT, LATER, FAILED, SENT, FAILED]
    assert sink.recipients() == ["a@x.test", "d@x.test", "sam@home.test"]


@pytest.mark.parametrize(
    ("verb", "reply", "outcome"),
    [
        ("MAIL", "450 4.1.8 who are you", LATER),
        ("MAIL", "550 5.7.1 not you", FAILED),
        ("DATA", "451 4.3.0 not now", LATER),
        ("DATA", "554 5.6.0 no", FAILED),
        ("DOT", "451 4.3.0 not now", LATER),
        ("DOT", "554 5.7.1 spam", FAILED),
        ("DOT", "354 what", LATER),
    ],
)
def test_refusal_is_for_one_message_only(
    extensions: tuple[str, ...], verb: str, reply: str, outcome: Outcome
) -> None:
    script = Script(extensions=extensions, verbs={verb: [reply]})
    first, second = make("a@x.test", "b@x.test"), make("sam@home.test")
    with Sink(script) as sink:
        assert send(hop_to(sink), first, second) == []
    assert outcomes(first) == [outcome, outcome]
    assert outcomes(second) == [SENT]
    assert sink.recipients() == ["sam@home.test"]
    assert [known.is_ambiguous for known in first.results if known] == [False, False]


def test_all_refused_and_354_nevertheless_sends_no_message() -> None:
    """RFC 2920 3.1: only a lone dot may follow."""
    script = Script(rcpt={"a@x.test": "550 5.1.1 who"}, verbs={"DATA": ["354 go"]})
    first, second = make("a@x.test"), make("sam@home.test")
    with Sink(script) as sink:
        send(hop_to(sink), first, second)
    assert outcomes(first) == [FAILED]
    assert outcomes(second) == [SENT]
    assert [message.recipients for message in sink.messages] == [("sam@home.test",)]


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_connection_lost_before_the_message_is_not_ambiguous(
    extensions: tuple[str, ...], verb: str
) -> None:
    transaction = make()
    with Sink(Script(extensions=extensions, drop={verb: 1})) as sink:
        assert send(hop_to(sink), transaction) == [transaction]
    assert transaction.losses == 1
    assert transaction.loss is not None
    assert not transaction.loss.is_ambiguous


def test_connection_lost_behind_the_dot_is_ambiguous(
    extensions: tuple[str, ...],
) -> None:
    first, second = make("a@x.test"), make("b@x.test")
    with Sink(Script(extensions=extensions, drop={"DOT": 1})) as sink:
        assert second in send(hop_to(sink), first, second)
    (known,) = first.results
    assert known is not None
    assert (known.outcome, known.is_ambiguous, known.code) == (LATER, True, None)
    assert None in (second.results or [None])


def test_421_behind_the_dot_is_an_answer() -> None:
    transaction = make()
    with Sink(Script(verbs={"DOT": ["421 4.3.2 shutting down"]})) as sink:
        send(hop_to(sink), transaction)
    (known,) = transaction.results
    assert known is not None
    assert (known.outcome, known.code, known.is_ambiguous) == (LATER, 421, False)


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n",
        b"25\r\n",
        b"2x0 ok\r\n",
        b"\xff\xfe\r\n",
        b"250-" + b"x" * 100_000 + b"\r\n",
        b"250-x\r\n" * 20_000,
        b"250 never ends",
    ],
    ids=["words", "short", "letters", "8-bit", "long line", "many lines", "no end"],
)
def test_nonsense_is_bounded_and_temporary(answer: bytes) -> None:
    transaction = make()
    with Sink(Script(raw_dot=answer)) as sink:
        send(hop_to(sink), transaction)
    (known,) = transaction.results
    assert known is not None
    assert (known.outcome, known.is_ambiguous) == (LATER, True)


def test_text_of_a_reply_is_made_fit_to_show() -> None:
    transaction = make()
    answer = b"554-5.7.1 line\xff one\r\n554 5.7.1 \x1b[31mtwo\r\n"
    with Sink(Script(raw_dot=answer)) as sink:
        send(hop_to(sink), transaction)
    (known,) = transaction.results
    assert known is not None
    assert (known.outcome, known.enhanced) == (FAILED, "5.7.1")
    assert known.text == "line\ufffd one 5.7.1  [31mtwo"


def test_enhanced_code_of_another_class_is_no_code() -> None:
    known = result(Reply(550, (b"2.1.5 odd",)), "x")
    assert (known.enhanced, known.text) == ("", "2.1.5 odd")


def test_too_many_recipients_is_temporary_even_as_552() -> None:
    """RFC 5321 4.5.3.1.10."""
    transaction = make("a@x.test", "b@x.test")
    with Sink(Script(rcpt={"b@x.test": "552 5.5.3 too many"})) as sink:
        send(hop_to(sink), transaction)
    assert outcomes(transaction) == [SENT, LATER]


@pytest.mark.parametrize(
    "address",
    [
        "a@x.test>\r\nRCPT TO:<b@x.test",
        "a b@x.test",
        "a@x.test> SIZE=1",
        "a\0@x.test",
        "nobody",
        "@x.test",
        "",
        '"a\r\nb"@x.test',
    ],
)
def test_what_is_no_mailbox_is_never_sent(address: str) -> None:
    transaction = make(address, "sam@home.test")
    with Sink() as sink:
        send(hop_to(sink), transaction)
    assert outcomes(transaction) == [FAILED, SENT]
    assert not [line for line in sink.commands if "b@x" in line or "SIZE=1>" in line]


def test_quoted_local_part_goes_out() -> None:
    with Sink() as sink:
        send(hop_to(sink), make('"a b>\\""@x.test'))
    assert sink.commands[2] == 'RCPT TO:<"a b>\\""@x.test>'


def test_message_over_the_announced_size_is_not_tried() -> None:
    transaction = make(body=b"x" * 200 + b"\r\n")
    with Sink(Script(extensions=("PIPELINING", "SIZE 100"))) as sink:
        send(hop_to(sink), transaction)
    (known,) = transaction.results
    assert known is not None
    assert (known.outcome, known.enhanced) == (FAILED, "5.3.4")
    assert not any(line.startswith("MAIL") for line in sink.commands)


@pytest.mark.parametrize(
    "told", [{"needs_utf8": True}, {"recipients": ("gr\u00fcn@x.test",)}]
)
def test_internationalised_mail_needs_smtputf8(told: dict[str, Any]) -> None:
    recipients: Sequence[str] = told.pop("recipients", ("a@x.test",))
    refused, sent = make(*recipients, **told), make(*recipients, **told)
    with Sink(Script(extensions=("PIPELINING",))) as sink:
        send(hop_to(sink), refused)
    (known,) = refused.results
    assert known is not None
    assert (known.outcome, known.enhanced, sink.messages) == (FAILED, "5.6.7", [])
    with Sink() as sink:
        send(hop_to(sink), sent)
    assert sink.messages[0].parameters.endswith(" SMTPUTF8")


def test_8bit_goes_as_it_is_without_8bitmime() -> None:
    transaction = make(needs_8bit=True, body="Subject: a\r\n\r\n\u00e9\r\n".encode())
    with Sink(Script(extensions=("PIPELINING",))) as sink:
        send(hop_to(sink), transaction)
    assert sink.messages[0].parameters == ""
    assert outcomes(transaction) == [SENT]


def test_old_server_is_greeted_with_helo() -> None:
    transaction = make()
    with Sink(Script(verbs={"EHLO": "500 5.5.1 what"})) as sink:
        send(hop_to(sink), transaction)
    assert outcomes(transaction) == [SENT]


def test_silent_server_is_given_up_in_time() -> None:
    with Sink(Script(greeting="")) as sink, pytest.raises(HostTrouble, match="in time"):
        send(hop_to(sink), make(), timeouts=replace(QUICK, greeting=0.2))


def test_slow_answer_is_ambiguous_in_time() -> None:
    transaction = make()
    with Sink(Script(latency=9)) as sink:
        send(hop_to(sink), transaction, timeouts=replace(QUICK, dot=0.2))
    (known,) = transaction.results
    assert known is not None
    assert known.is_ambiguous


def test_nobody_there_is_the_hosts_trouble() -> None:
    with Sink() as sink:
        hop = hop_to(sink)
    words = rf"cannot connect to 127\.0\.0\.1:{hop.port}: connection refused$"
    with pytest.raises(HostTrouble, match=words):
        send(hop, make())


def test_unix_socket_works(tmp_path: Path) -> None:
    path = str(tmp_path / "sink.sock")
    transaction = make()
    with Sink(path=path) as sink:
        send(Hop("mailbox", unix_path=path, tls=TLS.NONE), transaction)
    assert sink.recipients() == ["sam@home.test"]


# --- TLS and passwords


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed by itself, for 127.0.0.1; key and certificate in one file."""
    return certificates.write(tmp_path_factory.mktemp("tls") / "sink.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def test_opportunistic_encrypts_to_anybody(tls: ssl.SSLContext) -> None:
    with Sink(Script(tls=tls)) as sink:
        send(hop_to(sink, tls=TLS.OPPORTUNISTIC), make())
    assert "STARTTLS" in sink.commands
    assert sink.recipients() == ["sam@home.test"]


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("implicit", [False, True])
def test_demanded_tls_checks_the_name(tls: ssl.SSLContext, implicit: bool) -> None:
    mode = TLS.IMPLICIT if implicit else TLS.STARTTLS
    with Sink(Script(tls=tls, implicit_tls=implicit)) as sink:
        send(hop_to(sink, tls=mode), make())
        assert sink.recipients() == ["sam@home.test"]
        with pytest.raises(HostTrouble):
            send(hop_to(sink, tls=mode, host="localhost"), make())
    assert len(sink.messages) == 1


def test_demanded_tls_refuses_a_stranger(tls: ssl.SSLContext) -> None:
    with Sink(Script(tls=tls)) as sink, pytest.raises(HostTrouble, match="TLS failed"):
        send(hop_to(sink, tls=TLS.STARTTLS), make())
    assert sink.messages == []


def test_demanded_tls_that_is_not_offered_sends_nothing() -> None:
    with Sink() as sink, pytest.raises(HostTrouble, match="not offered"):
        send(hop_to(sink, tls=TLS.STARTTLS), make())


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "220 go"])
def test_broken_starttls_goes_on_in_the_clear_without_a_password(reply: str) -> None:
    script = Script(
        extensions=("PIPELINING", "STARTTLS", "AUTH PLAIN"),
        verbs={"STARTTLS": reply},
        user=("folk", "moot"),
    )
    transaction = make()
    quick = replace(QUICK, connect=0.5)
    with Sink(script) as sink:
        send(hop_to(sink, tls=TLS.OPPORTUNISTIC), transaction, timeouts=quick)
        assert outcomes(transaction) == [SENT]
        hop = hop_to(sink, tls=TLS.OPPORTUNISTIC, user="folk", password="moot")
        with pytest.raises(HostTrouble):
            send(hop, make(), timeouts=quick)
    assert sink.logins == []
    assert not any(line.startswith("AUTH") for line in sink.commands)


@pytest.mark.parametrize("kind", ["PLAIN LOGIN", "LOGIN"])
def test_password_goes_over_tls(tls: ssl.SSLContext, kind: str) -> None:
    script = Script(
        extensions=("PIPELINING", f"AUTH {kind}"),
        tls=tls,
        user=("folk", "m\u00f6\u00f6t"),
    )
    with Sink(script) as sink:
        hop = hop_to(
            sink, tls=TLS.OPPORTUNISTIC, user="folk", password="m\u00f6\u00f6t"
        )
        send(hop, make())
    assert sink.logins == [("folk", "m\u00f6\u00f6t")]
    assert len(sink.messages) == 1


@pytest.mark.parametrize(
    ("mode", "sent"), [(TLS.OPPORTUNISTIC, False), (TLS.NONE, True)]
)
def test_password_in_the_clear_only_when_told(mode: TLS, sent: bool) -> None:
    script = Script(extensions=("AUTH PLAIN",), user=("folk", "moot"))
    with Sink(script) as sink:
        hop = hop_to(sink, tls=mode, user="folk", password="moot")
        if sent:
            send(hop, make())
        else:
            with pytest.raises(HostTrouble, match="password"):
                send(hop, make())
    assert bool(sink.logins) is sent


def test_wrong_password_is_the_hosts_trouble() -> None:
    script = Script(extensions=("AUTH PLAIN",), user=("folk", "moot"))
    with Sink(script) as sink, pytest.raises(HostTrouble, match="AUTH refused"):
        send(hop_to(sink, user="folk", password="wrong"), make())


def test_a_server_that_lies_about_extensions_is_asked_in_plain_words(
    extensions: tuple[str, ...],
) -> None:
    """Once a message; the next one of this connection is plain at once."""
    script = Script(
        extensions=extensions,
        verbs={"MAIL": ["555 5.5.4 SIZE is not known here"]},
    )
    one, two = make(), make("mori@home.test", needs_8bit=True)
    with Sink(script) as sink:
        assert send(hop_to(sink), one, two) == []
    assert outcomes(one) == outcomes(two) == [SENT]
    assert [message.parameters for message in sink.messages] == ["", ""]
    asked = [line for line in sink.commands if line.startswith("MAIL")]
    assert len(asked) == 3


def test_only_who_was_not_understood_is_asked_again(
    extensions: tuple[str, ...],
) -> None:
    script = Script(
        extensions=extensions,
        rcpt={
            "sam@home.test": ["503 5.5.1 bad sequence"],
            "nick@home.test": "550 5.1.1 who?",
        },
    )
    transaction = make("sam@home.test", "nick@home.test")
    with Sink(script) as sink:
        assert send(hop_to(sink), transaction) == []
    assert outcomes(transaction) == [SENT, FAILED]
    assert sink.recipients() == ["sam@home.test"]
    assert sink.commands.count("RCPT TO:<nick@home.test>") == 1


def test_a_server_that_understands_nothing_is_asked_twice(
    extensions: tuple[str, ...],
) -> None:
    script = Script(extensions=extensions, verbs={"MAIL": "500 5.5.1 what?"})
    transaction = make()
    with Sink(script) as sink:
        assert send(hop_to(sink), transaction) == []
    assert outcomes(transaction) == [FAILED]
    assert len([line for line in sink.commands if line.startswith("MAIL")]) == 2


def test_what_cannot_be_said_plainly_is_not_asked_again() -> None:
    script = Script(verbs={"MAIL": "555 5.5.4 SMTPUTF8?"})
    transaction = make("s\u00e4m@home.test")
    with Sink(script) as sink:
        assert send(hop_to(sink), transaction) == []
    assert outcomes(transaction) == [FAILED]
    assert len([line for line in sink.commands if line.startswith("MAIL")]) == 1


def test_lost_while_asked_again_it_is_plain_over_the_next_connection() -> None:
    script = Script(
        verbs={"MAIL": ["555 5.5.4 SIZE?", "421 4.3.2 enough", "250 2.1.0 ok"]}
    )
    transaction = make()
    with Sink(script) as sink:
        assert send(hop_to(sink), transaction) == [transaction]
        assert transaction.is_plain
        script.verbs.clear()
        assert send(hop_to(sink), transaction) == []
    assert outcomes(transaction) == [SENT]
    assert sink.messages[0].parameters == ""
