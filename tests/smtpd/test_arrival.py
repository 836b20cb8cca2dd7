"""Who is turned away before they said a word, and who never is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dns.asyncresolver
import pytest

from smtpd.listener.arrival import is_stranger, is_within, networks
from smtpd.listener.blocklists import Blocklists
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll
from smtpd.listener.service import Service
from tests.dns import Dns
from tests.smtpd.listening import Client, Running, listening

ZONE, OTHER = "bl.test", "other.test"
LISTED, LISTED6, CLEAN = "198.51.101.7", "2a00:1450::7", "198.51.101.8"
# 2a00:1450::7, nibble by nibble.
NAME6 = f"7.{'0.' * 23}0.5.4.1.0.0.a.2.{ZONE}"


@pytest.fixture
def nameserver() -> Iterator[Dns]:
    with Dns() as server:
        server.add(f"7.101.51.198.{ZONE}", "A", "127.0.0.2")
        server.add(NAME6, "A", "127.0.0.4")
        yield server


def blocklists(server: Dns, *zones: str, seconds: float = 3.0) -> Blocklists:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
    return Blocklists(zones or (ZONE, OTHER), resolver, seconds)


def listings(lists: Blocklists, *peers: str) -> list[str]:
    async def ask() -> list[str]:
        return [await lists.listing(peer) for peer in peers]

    return asyncio.run(ask())


def test_a_listed_address_is_found_by_its_reversed_name(nameserver: Dns) -> None:
    lists = blocklists(nameserver)
    assert listings(lists, LISTED, LISTED6, CLEAN) == [ZONE, ZONE, ""]


def test_the_first_zone_that_lists_it_is_named(nameserver: Dns) -> None:
    nameserver.add(f"7.101.51.198.{OTHER}", "A", "127.0.0.2")
    assert listings(blocklists(nameserver, OTHER, ZONE), LISTED) == [OTHER]


@pytest.mark.parametrize("answer", ["127.255.255.254", "203.0.113.9"])
def test_an_answer_that_lists_nobody_is_not_believed(
    nameserver: Dns, answer: str
) -> None:
    """Whoever asks too much hears the first, a parked zone says the second."""
    nameserver.add(f"8.101.51.198.{ZONE}", "A", answer)
    assert listings(blocklists(nameserver), CLEAN) == [""]


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "silence"])
def test_a_list_that_does_not_answer_refuses_nobody(nameserver: Dns, how: str) -> None:
    nameserver.fail(f"7.101.51.198.{ZONE}", how)
    assert listings(blocklists(nameserver, seconds=0.2), LISTED) == [""]


def test_an_answer_is_kept_for_a_while(nameserver: Dns) -> None:
    now = 0.0
    lists = blocklists(nameserver, ZONE)
    lists.clock = lambda: now
    key = (f"7.101.51.198.{ZONE}", "A")
    assert listings(lists, LISTED, LISTED) == [ZONE, ZONE]
    assert nameserver.asked[key] == 1
    now = 61.0
    assert listings(lists, LISTED) == [ZONE]
    assert nameserver.asked[key] == 2


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "fd00::1"])
def test_private_addresses_are_not_asked_for(nameserver: Dns, peer: str) -> None:
    assert listings(blocklists(nameserver), peer) == [""]
    assert not nameserver.asked


def test_networks_are_read_as_settings_have_them() -> None:
    known = networks("10.0.0.0/8, 2001:db8::/32,192.0.2.1")
    assert [is_within(peer, known) for peer in ("10.9.9.9", "2001:db8::9")] == [
        True
    ] * 2
    assert [is_within(peer, known) for peer in ("192.0.2.2", "")] == [False] * 2
    assert networks("") == ()
    with pytest.raises(ValueError, match="host bits"):
        networks("10.0.0.1/8")
    assert [is_stranger(peer) for peer in ("192.0.2.1", "127.0.0.1", "::1", "")] == [
        True,
        False,
        False,
        False,
    ]


# --- on a socket: a proxy brings strangers to loopback ----------------------------


@pytest.fixture
def running(tmp_path: Path, nameserver: Dns) -> Iterator[Running]:
    service = Service(CatchAll(), trusts=networks("127.0.0.0/8"))
    with listening(
        service,
        tmp_path,
        limits=Limits(greeting_pause=0.05),
        blocklists=blocklists(nameserver),
    ) as running:
        yield running


def come(running: Running, peer: str, said: bytes = b"") -> Client:
    client = running.connect()
    family = b"TCP6" if ":" in peer else b"TCP4"
    header = b"PROXY %s %s %s 5000 25\r\n" % (family, peer.encode(), peer.encode())
    client.say(header + said)
    return client


@pytest.mark.parametrize("peer", [LISTED, LISTED6])
def test_a_listed_client_is_refused_and_may_only_quit(
    running: Running, peer: str
) -> None:
    with come(running, peer) as client:
        reply = client.reply()
        assert reply.startswith("554 5.7.1 ")
        assert f"{peer} is listed at {ZONE}" in reply
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\nDATA\r\nQUIT\r\n")
        assert client.replies(5) == ["503 5.5.1"] * 4 + ["221 2.0.0"]
        assert client.reply() == ""


def test_an_early_talker_is_refused(running: Running) -> None:
    with come(running, CLEAN, b"EHLO c\r\nMAIL FROM:<>\r\n") as client:
        assert client.reply().startswith("554 5.5.0 ")
        assert client.reply() == ""


def test_a_client_that_waits_is_greeted(running: Running) -> None:
    with come(running, CLEAN) as client:
        assert client.reply().startswith("220 ")
        assert client.ask(b"EHLO c\r\n").startswith("250-")


def test_this_machine_may_talk_at_once(running: Running) -> None:
    with come(running, "127.0.0.9", b"NOOP\r\n") as client:
        assert client.replies(2)[1] == "250 2.0.0"
