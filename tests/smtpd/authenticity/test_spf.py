"""SPF (RFC 7208): who may send for whom, from records alone."""

from __future__ import annotations

import asyncio

import pytest

from smtpd.authenticity.spf import passes

CLIENT = "198.51.100.7"
RECORDS: dict[tuple[str, str], list[str]] = {
    ("mx.x.test", "A"): ["198.51.100.9", CLIENT],
    ("mx.x.test", "AAAA"): ["2001:db8::7"],
    ("x.test", "A"): ["198.51.100.8"],
    ("x.test", "MX"): ["mx.x.test"],
    ("good.test", "TXT"): [f"v=spf1 ip4:{CLIENT} -all"],
    ("strict.test", "TXT"): ["v=spf1 -all"],
    ("none.test", "TXT"): ["google-site-verification=x"],
    ("circle.test", "TXT"): ["v=spf1 include:circle.test +all"],
    ("many.test", "MX"): [f"mx{at}.test" for at in range(11)],
}


def check(record: str | list[str], client: str = CLIENT) -> bool:
    texts = [record] if isinstance(record, str) else record
    records = RECORDS | {("x.test", "TXT"): texts}

    async def lookup(name: str, kind: str) -> list[str]:
        return records.get((name, kind), [])

    return asyncio.run(passes(client, "x.test", lookup))


@pytest.mark.parametrize(
    "record",
    [
        f"v=spf1 ip4:{CLIENT} -all",
        "v=spf1 ip4:198.51.100.0/24 -all",
        "V=SPF1 MX -ALL",
        "v=spf1 a:mx.x.test ~all",
        "v=spf1 a/24 -all",
        "v=spf1 mx/24//64 -all",
        "v=spf1 include:good.test -all",
        "v=spf1 include:strict.test mx -all",
        "v=spf1 redirect=good.test",
        "v=spf1 exp=why.test unknown=x mx",
        "v=spf1 +all",
        "v=spf1 -ip4:203.0.113.0/24 mx",
    ],
)
def test_who_may(record: str) -> None:
    assert check(record)


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 -all",
        "v=spf1 ~mx",
        "v=spf1 ?all",
        "v=spf1 -ip4:198.51.100.0/24 +all",
        "v=spf1",
        "v=spf1 ip4:203.0.113.1",
        "v=spf1 redirect=strict.test",
        "v=spf1 redirect=none.test",
        # Its own record is no second one.
        "v=spf10 +all",
        # Errors, and what we do not read, prove nothing.
        "v=spf1 include:none.test +all",
        "v=spf1 ip4:198.51.100.0/33 +all",
        "v=spf1 ip4:x +all",
        "v=spf1 mxx +all",
        "v=spf1 ip4 +all",
        "v=spf1 exists:%{i}.list.test +all",
        "v=spf1 ptr +all",
        "v=spf1 include:%{d} +all",
        "v=spf1 include:circle.test +all",
        "v=spf1 mx:many.test +all",
        "v=spf1 " + "a:other.test " * 11 + "+all",
    ],
)
def test_who_may_not_or_nobody_knows(record: str) -> None:
    assert not check(record)


def test_two_records_are_none() -> None:
    assert not check(["v=spf1 +all", "v=spf1 +all"])
    assert check(["v=spf1 +all", "other"])
    assert not check([])


@pytest.mark.parametrize(
    ("client", "record", "expected"),
    [
        ("2001:db8::7", "v=spf1 mx -all", True),
        ("2001:db8::8", "v=spf1 mx//64 -all", True),
        ("2001:db8::8", "v=spf1 mx -all", False),
        ("2001:db8::8", "v=spf1 ip6:2001:db8::/32 -all", True),
        ("2001:db8::8", "v=spf1 ip4:198.51.100.0/24 -all", False),
        (f"::ffff:{CLIENT}", f"v=spf1 ip4:{CLIENT} -all", True),
    ],
)
def test_over_ipv6(client: str, record: str, *, expected: bool) -> None:
    assert check(record, client) is expected
