"""One message in is one message or none, and one out is one, whatever is in it.

Each form is an end of content to some server in the world, and to none that
keeps to RFC 5321 4.1.1.4.
"""

from __future__ import annotations

import re

import pytest

from smtpd.outbound.render import Parts, Unsendable, compile_parts
from tests.sink import Sink
from tests.smtpd.staging import OPEN, Stage, codes
from tests.smtpd.test_client import hop_to, make
from tests.smtpd.test_client import send as send_out
from tests.smtpd.test_session import INJECTED, SMUGGLING

HEAD = b"From: Sam <sam@c.test>\r\n"
BEHIND = (
    b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<talk@l.test>\r\nDATA\r\nFrom: evil\r\n\r\n"
)
# As lenient as a server can be: any line end, a dot, any line end.
LENIENT_END = re.compile(rb"(?:\r\n|\r|\n)\0?\.\0?\r*(?:\r\n|\r|\n)")


@pytest.mark.parametrize("form", SMUGGLING)
def test_nothing_is_smuggled_in_by_bdat(form: bytes) -> None:
    content = b"one\r\ntwo" + form + INJECTED + b"\r\n.\r\n"
    stage = Stage()
    stage.say(OPEN)
    said = stage.say(b"BDAT %d LAST\r\n" % len(content) + content + b"NOOP\r\n")
    expected = "550 5.6.0" if b"\0" in form else "550 5.5.2"
    assert codes(said) == [expected, "250 2.0.0"]
    assert stage.stored == []
    assert not stage.content


@pytest.mark.parametrize("form", SMUGGLING)
def test_nothing_is_smuggled_in_between_two_chunks(form: bytes) -> None:
    content = b"two" + form + INJECTED + b"\r\n"
    for at in range(len(form) + 4):
        first, second = content[:at], content[at:]
        stage = Stage()
        stage.say(OPEN)
        said = stage.say(
            b"BDAT %d\r\n" % len(first) + first,
            b"BDAT %d LAST\r\n" % len(second) + second + b"NOOP\r\n",
        )
        assert codes(said)[-1] == "250 2.0.0"
        assert stage.stored == []


def test_a_dot_alone_in_a_chunk_is_content() -> None:
    content = b"one\r\n.\r\n" + BEHIND
    stage = Stage()
    stage.say(OPEN)
    said = stage.say(b"BDAT %d LAST\r\n" % len(content) + content + b"NOOP\r\n")
    assert codes(said) == ["250 2.0.0", "250 2.0.0"]
    assert [raw for _, raw in stage.stored] == [content]


@pytest.mark.parametrize("form", [*SMUGGLING, b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n."])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_nothing_is_smuggled_out(form: bytes, place: str) -> None:
    body = {
        "start": form + BEHIND + b"end\r\n",
        "middle": b"one\r\ntwo" + form + BEHIND + b"end\r\n",
        "end": b"one\r\n" + BEHIND + form,
    }[place]
    if b"\0" in form:
        with pytest.raises(Unsendable):
            compile_parts(Parts(HEAD, b"", body), None, signed_at=0)
        return
    copy = compile_parts(Parts(HEAD, b"", body), None, signed_at=0).copy()
    transaction = make()
    transaction.data = lambda: copy
    with Sink() as sink:
        assert send_out(hop_to(sink), transaction) == []
        (message,) = sink.messages
        mails = [line for line in sink.commands if line.startswith("MAIL")]
    assert mails == [f"MAIL FROM:<olga@lists.test> SIZE={transaction.size}"]
    wire = message.stuffed
    assert wire + b".\r\n" == copy
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    assert b"\0" not in wire
    assert not LENIENT_END.search(wire)
    assert all(line[:2] == b".." for line in wire.split(b"\r\n") if line[:1] == b".")
    assert b"MAIL FROM:<evil@x.test>\r\n" in message.raw


def test_the_most_lenient_reader_finds_what_it_should() -> None:
    """The test above can fail."""
    for form in [*SMUGGLING, b"\r\n.\r\n"]:
        assert LENIENT_END.search(b"a" + form + b"b"), form
