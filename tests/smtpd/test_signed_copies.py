"""Signatures as the next server gets them, with the key of the day."""

from __future__ import annotations

import re

import dkim
import pytest
from django.core.management import call_command
from django.utils import timezone

from smtpd.domains import actions
from smtpd.domains.dns import public_key
from smtpd.models import Delivery, Domain
from smtpd.queue import copies
from tests.sink import Script, Sink
from tests.smtpd.sending import make_outgoing, make_verp, people, run, states, working

pytestmark = pytest.mark.django_db(transaction=True)
POST = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def is_good(raw: bytes, records: dict[str, str]) -> bool:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        selector, _, rest = name.decode().partition(".")
        assert rest == "_domainkey.lists.test."
        return records[selector].encode()

    return bool(dkim.verify(raw, dnsfunc=dns))


def selector(raw: bytes) -> str:
    found = re.search(rb"^DKIM-Signature:.*?\bs=([\w-]+);", raw, re.DOTALL)
    assert found
    return found[1].decode()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_each_member_gets_a_signature_that_holds(kind: str) -> None:
    domain = actions.add_domain("lists.test", dkim=kind)
    unsubscribe = b"List-Unsubscribe: <https://lists.test/u/{token}>\r\n" + POST
    body = "Grüße\r\n.\r\n".encode()
    make_verp(
        people(60),
        dkim_domain=domain,
        copy_head=unsubscribe,
        body=body,
        body_splices=[2],
        needs_8bit=True,
    )
    with Sink() as sink, working(sink) as worker:
        run(worker)
    records = {"folkmoot": public_key(domain.dkim_key)}
    assert len(sink.messages) == 60
    assert len({message.raw for message in sink.messages}) == 60
    assert all(is_good(message.raw, records) for message in sink.messages)
    spoilt = sink.messages[0].raw.replace(b"One-Click", b"Two-Click")
    assert not is_good(spoilt, records)


def test_a_shared_copy_is_signed_too() -> None:
    domain = actions.add_domain("lists.test")
    make_outgoing(people(60), dkim_domain=domain)
    with Sink() as sink, working(sink) as worker:
        run(worker)
    records = {"folkmoot": public_key(domain.dkim_key)}
    assert len(sink.messages) == 2
    assert all(is_good(message.raw, records) for message in sink.messages)


def test_a_new_key_signs_what_waits_once_the_old_copy_is_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    domain = actions.add_domain("lists.test", dkim="ed25519")
    old = public_key(domain.dkim_key)
    make_verp(people(1), dkim_domain=domain)
    later = Script(verbs={"DOT": ["451 4.3.0 later", "451 4.3.0 later"]})
    with Sink(later) as sink, working(sink) as worker:
        run(worker)
        actions.make_next_key(domain, "ed25519", "next")
        actions.switch_key(domain, force=True)
        for seconds in (copies._CACHE_SECONDS, 0.0):
            monkeypatch.setattr(copies, "_CACHE_SECONDS", seconds)
            Delivery.objects.update(next_attempt_at=timezone.now())
            run(worker)
    assert states() == {"sent": 1}
    assert [selector(message.raw) for message in sink.messages] == ["next"]
    domain.refresh_from_db()
    records = {"folkmoot": old, "next": public_key(domain.dkim_key)}
    assert is_good(sink.messages[0].raw, records)


def test_a_message_after_the_switch_is_signed_with_the_new_key() -> None:
    domain = actions.add_domain("lists.test", dkim="ed25519")
    make_verp(people(1), dkim_domain=domain)
    with Sink() as sink, working(sink) as worker:
        run(worker)
        call_command("dkim", "lists.test", make="rsa", selector="next")
        call_command("dkim", "lists.test", switch=True, force=True)
        make_verp(people(1), dkim_domain=Domain.objects.get())
        run(worker)
    assert [selector(message.raw) for message in sink.messages] == ["folkmoot", "next"]
