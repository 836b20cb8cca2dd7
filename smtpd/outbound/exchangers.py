"""From the answers of DNS to whom to ask, in order. Pure.

RFC 5321 5.1, RFC 7505. Whatever is raised here is about the domain and will
be the same tomorrow; what DNS did not answer is not known here at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import zip_longest
from random import Random
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# Of each domain and of each of its hosts; what stands behind is not asked.
MOST_HOSTS = 5
MOST_ADDRESSES = 5
# The last label has a letter: four numbers are an address, and RFC 5321 5.1
# wants a name there.
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?=[0-9-]*[a-z])[a-z0-9-]{1,63}")
_LITERAL = re.compile(r"\[(?:ipv6:)?([0-9a-f.:]+)\]", re.IGNORECASE)


class Undeliverable(Exception):
    """No mail reaches this domain, now or later; the text says why."""

    def __init__(self, text: str, enhanced: str, code: int | None = None) -> None:
        super().__init__(text)
        self.enhanced = enhanced
        self.code = code


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One MX record, or the domain itself where it has none."""

    preference: int
    # Lower case, without the final dot. Empty: the root, of a null MX.
    host: str


def in_order(
    domain: str, records: Sequence[Exchanger], our_name: str, dice: Random
) -> list[Exchanger]:
    """The hosts to ask, the most preferred first; raise Undeliverable.

    Hosts of one preference in random order. Ours ends the list: those behind
    it would bring the mail back to us.
    """
    named = [record for record in records if record.host]
    if records and not named:
        # RFC 7505 4.2
        raise Undeliverable(f"{domain} takes no mail: null MX", "5.1.10", 556)
    dice.shuffle(named)
    named.sort(key=lambda record: record.preference)
    ours = [record.preference for record in named if record.host == our_name]
    before = [record for record in named if not ours or record.preference < min(ours)]
    if not before:
        raise _loop(domain)
    usable = [record for record in before if _HOST.fullmatch(record.host)]
    if not usable:
        raise Undeliverable(f"no MX record of {domain} names a host", "5.4.4")
    return usable[:MOST_HOSTS]


def targets(
    domain: str,
    found: Sequence[tuple[Exchanger, Sequence[Address]]],
    is_ours: Callable[[Address], bool],
    *,
    may_be_private: bool,
) -> list[tuple[str, Address]]:
    """The name and address of each server to try; raise Undeliverable.

    There is no way back from MX records that lead nowhere to the domain's own
    address (RFC 5321 5.1).
    """
    ours = [record.preference for record, some in found if any(map(is_ours, some))]
    left = [each for each in found if not ours or each[0].preference < min(ours)]
    if found and not left:
        raise _loop(domain)
    chosen = [
        (record.host, address)
        for record, some in left
        for address in _mixed(
            [address for address in some if may_be_private or is_public(address)]
        )[:MOST_ADDRESSES]
    ]
    if not chosen:
        what = "a public address" if any(some for _, some in left) else "an address"
        raise Undeliverable(f"no mail server of {domain} has {what}", "5.4.4")
    return chosen


def literal(domain: str) -> Address | None:
    """The address in `user@[192.0.2.1]`; None: it is a name (RFC 5321 4.1.3)."""
    match = _LITERAL.fullmatch(domain)
    if not match:
        return None
    try:
        return ip_address(match[1])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether it can be a stranger's server, and nothing of our own network."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _mixed(addresses: Sequence[Address]) -> list[Address]:
    """Both families by turns: one of them may not work from here.

    IPv4 first: many a machine has an IPv6 address without a name, and is
    refused for good because of that.
    """
    four = [address for address in addresses if address.version == 4]
    six = [address for address in addresses if address.version == 6]
    pairs = zip_longest(four, six)
    return [address for pair in pairs for address in pair if address is not None]


def _loop(domain: str) -> Undeliverable:
    return Undeliverable(f"mail for {domain} loops back to us", "5.4.6")
