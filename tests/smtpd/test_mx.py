"""Who takes a domain's mail, asked of a real DNS server (RFC 5321 5.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from random import Random

import dns.asyncresolver
import pytest

from smtpd.outbound.exchangers import Undeliverable
from smtpd.outbound.mx import LEAST_TTL, MOST_TTL, Exchanges, Site, Unanswered
from smtpd.outbound.ourselves import listens_at
from smtpd.outbound.relay import Hop
from tests.dns import SILENCE, Dns

SITE = Site("mx.folkmoot.test", 2525, may_be_private=True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def zone() -> Iterator[Dns]:
    with Dns() as server:
        server.add("home.test", "MX", "20 mx2.home.test.", "10 mx1.home.test.")
        server.add("mx1.home.test", "A", "127.0.0.2", "127.0.0.3")
        server.add("mx2.home.test", "A", "127.0.0.4")
        yield server


def exchanges(zone: Dns, site: Site = SITE, clock: Clock | None = None) -> Exchanges:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], zone.port
    resolver.timeout = 0.1
    return Exchanges(resolver, site, clock or Clock(), Random(1))


def ask(zone: Dns, domain: str, site: Site = SITE) -> list[str]:
    found = asyncio.run(exchanges(zone, site).servers(domain))
    return [f"{hop.name} {hop.host}" for hop in found]


def refusal(zone: Dns, domain: str, site: Site = SITE) -> Undeliverable:
    with pytest.raises(Undeliverable) as told:
        ask(zone, domain, site)
    return told.value


def test_servers_come_in_order_of_preference(zone: Dns) -> None:
    *first, last = ask(zone, "home.test")
    # A server gives the addresses of one host in any order.
    assert set(first) == {"mx1.home.test 127.0.0.2", "mx1.home.test 127.0.0.3"}
    assert last == "mx2.home.test 127.0.0.4"
    hop = asyncio.run(exchanges(zone).servers("home.test"))[-1]
    assert str(hop) == "mx2.home.test[127.0.0.4]:2525"
    assert (hop.port, hop.helo) == (2525, "mx.folkmoot.test")


def test_no_mx_is_the_domain_itself(zone: Dns) -> None:
    zone.add("plain.test", "A", "127.0.0.5")
    zone.add("plain.test", "AAAA", "::1")
    assert ask(zone, "plain.test") == ["plain.test 127.0.0.5", "plain.test ::1"]


def test_null_mx_is_for_good(zone: Dns) -> None:
    zone.add("null.test", "MX", "0 .")
    zone.add("null.test", "A", "127.0.0.5")
    told = refusal(zone, "null.test")
    assert (told.code, told.enhanced) == (556, "5.1.10")


@pytest.mark.parametrize("domain", ["nowhere.test", "", "a..test", "a" * 64 + ".test"])
def test_no_such_domain_is_for_good(zone: Dns, domain: str) -> None:
    assert refusal(zone, domain).enhanced == "5.1.2"


def test_neither_mx_nor_address_is_for_good(zone: Dns) -> None:
    zone.add("text.test", "TXT", '"nothing here"')
    assert refusal(zone, "text.test").enhanced == "5.4.4"


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED"])
def test_failing_dns_is_no_answer(zone: Dns, how: str) -> None:
    zone.add("dead.test", "A", "127.0.0.5")
    zone.fail("dead.test", how)
    with pytest.raises(Unanswered) as told:
        ask(zone, "dead.test")
    assert told.value.enhanced == "4.4.3"
    assert str(told.value) == f"DNS does not answer about dead.test (MX): {how}"


def test_silent_dns_is_no_answer(zone: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpd.outbound.mx._PATIENCE", 0.3)
    zone.fail("home.test", SILENCE)
    with pytest.raises(Unanswered):
        ask(zone, "home.test")


def test_what_did_not_answer_is_asked_again(zone: Dns) -> None:
    async def work() -> Sequence[Hop]:
        found = exchanges(zone)
        with pytest.raises(Unanswered):
            await found.servers("home.test")
        zone.heal("home.test")
        return await found.servers("home.test")

    zone.fail("home.test", "SERVFAIL")
    assert len(asyncio.run(work())) == 3


def test_mx_that_lead_nowhere_do_not_fall_back(zone: Dns) -> None:
    zone.add("half.test", "MX", "10 gone.half.test.")
    zone.add("half.test", "A", "127.0.0.5")
    assert refusal(zone, "half.test").enhanced == "5.4.4"


def test_host_whose_address_is_not_known_now_is_no_refusal(zone: Dns) -> None:
    zone.fail("mx1.home.test", "SERVFAIL")
    assert ask(zone, "home.test") == ["mx2.home.test 127.0.0.4"]
    zone.fail("mx2.home.test", "SERVFAIL")
    with pytest.raises(Unanswered):
        ask(zone, "home.test")


@pytest.mark.parametrize("chases", [True, False])
def test_cnames_are_followed(zone: Dns, *, chases: bool) -> None:
    zone.chases = chases
    zone.add("alias.test", "CNAME", "other.test.")
    zone.add("other.test", "CNAME", "home.test.")
    zone.add("odd.test", "MX", "10 host.odd.test.")
    zone.add("host.odd.test", "CNAME", "mx2.home.test.")
    assert len(ask(zone, "alias.test")) == 3
    assert ask(zone, "odd.test") == ["host.odd.test 127.0.0.4"]


@pytest.mark.parametrize("chases", [True, False])
def test_cnames_in_a_circle_are_no_answer(zone: Dns, *, chases: bool) -> None:
    zone.chases = chases
    zone.add("a.test", "CNAME", "b.test.")
    zone.add("b.test", "CNAME", "a.test.")
    with pytest.raises(Unanswered):
        ask(zone, "a.test")
    assert zone.asked.total() <= 16


def test_our_name_ends_the_list(zone: Dns) -> None:
    ours = replace(SITE, name="MX2.home.test")
    assert len(ask(zone, "home.test", ours)) == 2
    told = refusal(zone, "home.test", replace(SITE, name="mx1.home.test"))
    assert told.enhanced == "5.4.6"


def test_our_address_ends_the_list(zone: Dns) -> None:
    us = ip_address("127.0.0.4")
    ours = replace(SITE, is_ours=lambda address: address == us)
    assert len(ask(zone, "home.test", ours)) == 2
    us = ip_address("127.0.0.3")
    assert refusal(zone, "home.test", ours).enhanced == "5.4.6"


@pytest.mark.parametrize(
    ("bind", "address", "is_ours"),
    [
        ("127.0.0.1:25", "127.0.0.1", True),
        ("127.0.0.1:25", "127.0.0.2", False),
        ("[::1]:25", "::1", True),
        ("0.0.0.0:25", "127.0.0.1", True),
        (":25", "127.0.0.1", True),
        ("0.0.0.0:25", "203.0.113.9", False),
        ("", "127.0.0.1", False),
    ],
)
def test_our_addresses_are_those_we_listen_at(
    bind: str, address: str, *, is_ours: bool
) -> None:
    assert listens_at(bind)(ip_address(address)) is is_ours


def test_private_targets_are_refused(zone: Dns) -> None:
    told = refusal(zone, "home.test", replace(SITE, may_be_private=False))
    assert told.enhanced == "5.4.4"


def test_address_literal_needs_no_dns(zone: Dns) -> None:
    assert ask(zone, "[127.0.0.9]") == [" 127.0.0.9"]
    assert ask(zone, "[IPv6:::1]") == [" ::1"]
    assert refusal(zone, "[127.0.0.9]", replace(SITE, may_be_private=False))
    assert not zone.asked


def test_truncated_answer_is_asked_again_over_tcp(zone: Dns) -> None:
    zone.truncates = True
    assert len(ask(zone, "home.test")) == 3


def asked_after(zone: Dns, domain: str, seconds: float) -> int:
    """How often a domain was asked for when it is wanted twice."""

    async def work() -> None:
        clock = Clock()
        found = exchanges(zone, clock=clock)
        for now in (0.0, seconds):
            clock.now = now
            with suppress(Undeliverable):
                await found.servers(domain)

    asyncio.run(work())
    return zone.asked[(domain, "MX")]


@pytest.mark.parametrize(
    ("ttl", "seconds", "times"),
    [
        (300, 299, 1),
        (300, 301, 2),
        (1, LEAST_TTL - 1, 1),
        (1, LEAST_TTL + 1, 2),
        (86400, MOST_TTL + 1, 2),
    ],
)
def test_answer_is_kept_as_long_as_its_records_live(
    zone: Dns, ttl: int, seconds: float, times: int
) -> None:
    zone.add("home.test", "MX", "10 mx.big.test.", ttl=ttl)
    zone.add("mx.big.test", "A", "127.0.0.2", ttl=86400)
    zone.add("mx.big.test", "AAAA", "::1", ttl=86400)
    assert asked_after(zone, "home.test", seconds) == times


def test_refusal_is_kept_for_a_moment(zone: Dns) -> None:
    assert asked_after(zone, "nowhere.test", LEAST_TTL - 1) == 1
    assert asked_after(zone, "nowhere.test", LEAST_TTL + 1) == 3


def test_many_who_ask_at_once_are_one_question(zone: Dns) -> None:
    async def work() -> None:
        found = exchanges(zone)
        await asyncio.gather(*(found.servers("home.test") for _ in range(20)))

    asyncio.run(work())
    assert zone.asked[("home.test", "MX")] == 1
