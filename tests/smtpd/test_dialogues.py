"""Every dialogue of tests/dialogues/ goes as it is written, on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpd.models import Delivery, Message
from tests import certificates
from tests.dialogues.play import Play
from tests.dialogues.script import Script, scripts
from tests.dialogues.seed import seed
from tests.dialogues.stage import Stage

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPTS = scripts()


@pytest.fixture(scope="module")
def tls_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return certificates.server_context(tmp_path_factory.mktemp("tls") / "mx.pem")


@pytest.fixture
def stage(tmp_path: Path, tls_context: ssl.SSLContext) -> Iterator[Stage]:
    seed()
    stage = Stage(tmp_path, tls_context)
    try:
        yield stage
    finally:
        stage.close()


@pytest.mark.parametrize("script", SCRIPTS, ids=[one.path.stem for one in SCRIPTS])
def test_the_dialogue_goes_as_written(stage: Stage, script: Script) -> None:
    Play(stage).run(script)


def test_one_message_to_many_kinds_is_stored_once(stage: Stage) -> None:
    with stage.connect() as client:
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
