"""Questions cut out of octets, however they arrive; answers word for word."""

import pytest

from smtpd import replies
from smtpd.oracle import wire
from smtpd.oracle.wire import Access, Lookup, Questions, Unreadable
from smtpd.replies import Reply

LOOKUP = b"21:recipient talk@l.test,"
ACCESS = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
    b"sender=sam@c.test\nrecipient=talk@l.test\nsasl_username=a=b\n\n"
)
ASKED = [Lookup("recipient", "talk@l.test"), Access("talk@l.test")]


def asked(*pieces: bytes) -> list[Lookup | Access]:
    questions, found = Questions(), []
    for piece in pieces:
        questions.buffer += piece
        while question := questions.next():
            found.append(question)
    return found


def test_both_protocols_on_one_connection() -> None:
    octets = LOOKUP + ACCESS + LOOKUP
    assert asked(octets) == [*ASKED, ASKED[0]]


def test_octet_by_octet_is_the_same() -> None:
    octets = LOOKUP + ACCESS
    assert asked(*(octets[at : at + 1] for at in range(len(octets)))) == ASKED


@pytest.mark.parametrize(
    ("octets", "question"),
    [
        (b"8:domain *,", Lookup("domain", "*")),
        (b"9:domain a,,", Lookup("domain", "a,")),
        (b"6:domain,", Lookup("domain", "")),
        (b"0:,", Lookup("", "")),
        ("20:recipient grün@l.te,".encode(), Lookup("recipient", "grün@l.te")),
        (b"11:recipient \xff,", Lookup("recipient", "\udcff")),
        (ACCESS.replace(b"RCPT", b"MAIL"), Access("")),
        (b"request=smtpd_access_policy\n\n", Access("")),
    ],
)
def test_forms_of_questions(octets: bytes, question: Lookup | Access) -> None:
    assert asked(octets) == [question]


@pytest.mark.parametrize(
    "octets",
    [
        b"3x",
        b"123456",
        b"99999:",
        b"3:abcd",
        b"3:abc\n",
        b"EHLO client.test\r\n\r\n\n\n",
        b"request=junk\n\n",
        b"\n\n",
        b"a" * (wire.REQUEST_OCTETS + 1),
        b"a" * wire.REQUEST_OCTETS + b"=\n\n",
    ],
)
def test_anything_else_is_unreadable(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        asked(octets)


def test_answers() -> None:
    assert wire.found("talk@l.test") == b"14:OK talk@l.test,"
    assert wire.not_found() == b"9:NOTFOUND ,"
    assert wire.no_table("x") == b"24:PERM there is no table x,"
    busy = Reply(451, "4.3.0", "Later\nor never")
    assert wire.not_now(busy) == b"29:TEMP 451 4.3.0 Later or never,"
    assert wire.refuse(busy) == b"action=DEFER_IF_PERMIT 4.3.0 Later or never\n\n"
    assert wire.go_on() == b"action=DUNNO\n\n"
    assert wire.refuse(replies.NO_SUCH_USER) == (
        b"action=550 5.1.1 There is no such address here\n\n"
    )
    assert wire.refuse(replies.MOVED_TO.fill(mailbox="grün@x.test")) == (
        b"action=551 5.1.6 User not local; please try <gr?n@x.test>\n\n"
    )


@pytest.mark.parametrize(
    ("bind", "transport"),
    [
        ("", ""),
        ("/run/folkmoot/lmtp", "lmtp:unix:/run/folkmoot/lmtp"),
        ("127.0.0.1:24", "lmtp:inet:127.0.0.1:24"),
        ("[2001:db8::1]:24", "lmtp:inet:[2001:db8::1]:24"),
        (":24", "lmtp:inet:mx.test:24"),
        ("0.0.0.0:24", "lmtp:inet:mx.test:24"),
        ("[::]:24", "lmtp:inet:mx.test:24"),
    ],
)
def test_what_the_lmtp_port_is_called(bind: str, transport: str) -> None:
    assert wire.transport(bind, "mx.test") == transport
