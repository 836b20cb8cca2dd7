"""Whom to ask, from what DNS said."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from smtpd.outbound.exchangers import (
    Exchanger,
    Undeliverable,
    in_order,
    is_public,
    literal,
    targets,
)

US = "mx.folkmoot.test"


def order(*records: tuple[int, str], seed: int = 1) -> list[str]:
    made = [Exchanger(*record) for record in records]
    return [each.host for each in in_order("home.test", made, US, Random(seed))]


def reach(
    *found: tuple[int, str, list[str]], ours: str = "", private: bool = False
) -> list[str]:
    hosts = [
        (Exchanger(preference, host), [ip_address(one) for one in some])
        for preference, host, some in found
    ]
    chosen = targets(
        "home.test", hosts, lambda one: str(one) == ours, may_be_private=private
    )
    return [str(address) for _, address in chosen]


def test_lower_preference_comes_first() -> None:
    assert order((20, "b.test"), (10, "a.test"), (30, "c.test")) == [
        "a.test",
        "b.test",
        "c.test",
    ]


def test_equal_preference_comes_in_any_order() -> None:
    records = [(10, "a.test"), (10, "b.test"), (5, "first.test")]
    orders = {tuple(order(*records, seed=seed)) for seed in range(40)}
    assert orders == {
        ("first.test", "a.test", "b.test"),
        ("first.test", "b.test", "a.test"),
    }


def test_null_mx_is_for_good() -> None:
    with pytest.raises(Undeliverable, match="null MX") as told:
        order((0, ""))
    assert (told.value.code, told.value.enhanced) == (556, "5.1.10")


def test_null_mx_beside_another_is_no_null_mx() -> None:
    assert order((0, ""), (10, "a.test")) == ["a.test"]


def test_we_and_all_behind_us_are_left_out() -> None:
    assert order((5, "a.test"), (10, US), (10, "b.test"), (20, "c.test")) == ["a.test"]


@pytest.mark.parametrize("records", [[(10, US)], [(10, US), (10, "b.test")]])
def test_nobody_before_us_is_a_loop(records: list[tuple[int, str]]) -> None:
    with pytest.raises(Undeliverable, match="loops back") as told:
        order(*records)
    assert told.value.enhanced == "5.4.6"


def test_an_address_is_no_name() -> None:
    assert order((10, "192.0.2.1"), (20, "a.test")) == ["a.test"]
    with pytest.raises(Undeliverable) as told:
        order((10, "192.0.2.1"))
    assert told.value.enhanced == "5.4.4"


def test_only_five_hosts_are_asked() -> None:
    assert len(order(*((at, f"h{at}.test") for at in range(9)))) == 5


def test_families_take_turns_and_five_are_enough() -> None:
    four = [f"8.8.8.{at}" for at in range(1, 7)]
    six = [f"2600::{at}" for at in range(1, 3)]
    assert reach((10, "a.test", six + four)) == [
        "8.8.8.1",
        "2600::1",
        "8.8.8.2",
        "2600::2",
        "8.8.8.3",
    ]


def test_hosts_keep_their_order() -> None:
    found: list[tuple[int, str, list[str]]] = [
        (1, "a.test", ["8.8.8.8"]),
        (2, "b.test", []),
        (3, "c.test", ["9.9.9.9"]),
    ]
    assert reach(*found) == ["8.8.8.8", "9.9.9.9"]


def test_our_own_address_ends_the_list() -> None:
    found = (1, "a.test", ["8.8.8.8"]), (2, "b.test", ["9.9.9.9"])
    assert reach(*found, ours="9.9.9.9") == ["8.8.8.8"]
    with pytest.raises(Undeliverable, match="loops back"):
        reach(*found, ours="8.8.8.8")


def test_no_address_is_for_good() -> None:
    with pytest.raises(Undeliverable, match="an address") as told:
        reach((10, "a.test", []))
    assert told.value.enhanced == "5.4.4"


PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254"),
    *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::"),
    *("fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::1"),
    "ff02::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(Undeliverable, match="public address"):
        reach((10, "a.test", [address]))
    assert reach((10, "a.test", [address, "8.8.8.8"])) == ["8.8.8.8"]


def test_private_address_may_be_allowed() -> None:
    assert reach((10, "a.test", ["127.0.0.2"]), private=True) == ["127.0.0.2"]


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:2001:DB8::1]", "2001:db8::1"),
        ("home.test", None),
        ("192.0.2.1", None),
        ("[x.test]", None),
        ("[300.1.1.1]", None),
    ],
)
def test_address_literals(domain: str, address: str | None) -> None:
    found = literal(domain)
    assert (str(found) if found else None) == address
