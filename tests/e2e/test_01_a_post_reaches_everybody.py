"""The main job: one mail in, every subscriber's own copy out."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

import pytest

from tests.e2e.conversation import arrived, is_quiet, mail, public_key, send, verifies
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e


def post(url: str, body: bytes, kind: str) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(answer.status)


def test_each_copy_is_the_subscribers_own(stack: Stack) -> None:
    members = stack.count(
        "SELECT count(*) FROM lists_subscription s JOIN lists_mailinglist m"
        " ON m.id = s.mailing_list_id JOIN smtpd_address a ON a.id = m.address_id"
        " WHERE a.local_part = 'talk' AND s.mode = 'each'"
    )
    assert members >= 25
    assert not send(stack, mail("first"), ["talk@lists.localhost"])
    wait_until(lambda: is_quiet(stack), 30, "copies")
    copies = arrived(stack, "first")
    assert len({copy.forward_path for copy in copies}) == len(copies) == members
    assert len({copy.one_click for copy in copies}) == members
    assert len({copy.reverse_path for copy in copies}) == members
    record = public_key(stack)
    for copy in copies:
        assert copy.reverse_path.startswith("bounces+")
        assert len(copy.reverse_path.partition("@")[0]) <= 64
        assert copy.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
        assert copy.header("List-Id").endswith("<talk.lists.localhost>")
        assert copy.raw.endswith(b"\r\n\r\nGood morning.\r\n.a line with a dot\r\n")
        assert copy.header("Subject") == "Hello"
        assert verifies(copy, record)


def test_the_trace_has_every_recipients_reply(stack: Stack) -> None:
    send(stack, mail("traced"), ["talk@lists.localhost"])
    wait_until(lambda: is_quiet(stack), 30)
    trace = json.loads(stack.manage("trace", "<traced@example.org>", "--json"))
    text = json.dumps(trace)
    assert "received" in text
    assert "frozen" in text
    assert text.count('"sent"') >= 25
    assert "2.0.0" in text


def test_one_click_is_done_at_once_and_again(stack: Stack) -> None:
    send(stack, mail("before"), ["talk@lists.localhost"])
    wait_until(lambda: is_quiet(stack), 30)
    copies = arrived(stack, "before")
    [mine] = [c for c in copies if c.forward_path == "tove@example.net"]
    path = urllib.parse.urlsplit(mine.one_click).path
    status, page = stack.get(path)
    assert status == 200
    assert "form" in page
    member = (
        "SELECT count(*) FROM lists_subscription s JOIN lists_subscriber p"
        " ON p.id = s.subscriber_id WHERE p.folded = 'tove@example.net'"
    )
    assert stack.count(member) == 1
    kind = "application/x-www-form-urlencoded"
    assert post(mine.one_click, b"List-Unsubscribe=One-Click", kind) == 200
    assert stack.count(member) == 0
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
        b"One-Click\r\n--x--\r\n"
    )
    assert post(mine.one_click, parts, "multipart/form-data; boundary=x") == 200
