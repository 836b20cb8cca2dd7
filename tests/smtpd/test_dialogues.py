"""Dialogues with the site itself, one file each, replayed over a socket.

`C:` is sent with CRLF, `S:` is a line of the answer (`*` stands for any text),
`#` is a remark. The number in a file's name is its row in the table of replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from aliases.actions import create, disable
from smtpd.domains.actions import add_domain
from smtpd.listener.policies import Site
from smtpd.models import Delivery, Message
from tests.smtpd.listening import Client, Running, listening

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(__file__).parent.parent / "dialogues"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    add_domain("l.test", dkim="")
    create("team@l.test", ["sam@people.test", "olga@people.test"])
    create("postmaster@l.test", ["olga@people.test"])
    disable(create("closed@l.test", ["sam@people.test"]))
    with listening(Site(), tmp_path) as running:
        yield running


def replay(client: Client, text: str) -> None:
    for line in text.splitlines():
        side, _, words = line.partition(":")
        if side == "C":
            client.say(words.removeprefix(" ").encode() + b"\r\n")
        elif side == "S":
            assert fnmatchcase(client.line(), words.strip()), line
        else:
            assert line.startswith("#"), line


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_dialogue_goes_as_written(site: Running, file: Path) -> None:
    with site.connect() as client:
        replay(client, file.read_text())
        assert client.reply() == ""


def test_one_message_to_many_kinds_is_stored_once(site: Running) -> None:
    with site.connect() as client:
        client.reply()
        client.say(b"EHLO c\r\nMAIL FROM:<nick@c.test>\r\nRCPT TO:<team@l.test>\r\n")
        client.say(b"RCPT TO:<nobody@l.test>\r\nRCPT TO:<postmaster>\r\nDATA\r\n")
        client.say(b"From: Nick <nick@c.test>\r\n\r\nhello\r\n.\r\n")
        assert client.replies(7)[2:] == [
            "250 2.1.5",
            "550 5.1.1",
            "250 2.1.5",
            "354 End",
            "250 2.0.0",
        ]
    message = Message.objects.get()
    assert bytes(message.raw) == b"From: Nick <nick@c.test>\r\n\r\nhello\r\n"
    assert message.protocol == "ESMTP"
    assert message.peer == "127.0.0.1"
    names = Delivery.objects.order_by("address").values_list("address", flat=True)
    assert list(names) == ["olga@people.test", "sam@people.test"]
