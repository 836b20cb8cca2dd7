"""Whether a domain says that a client may send its mail (RFC 7208). Pure but for DNS.

Only a pass is of use here, so whatever is not one proves nothing: a record with an
error in it, with macros (section 7), or one that asks DNS too often.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable

# Addresses of a name, names of MX records, texts: of a name and a record type.
Lookup = Callable[[str, str], Awaitable[list[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 7208 4.6.4.
_MOST_TERMS = 10
_MOST_EXCHANGERS = 10
_PASS = "+"  # noqa: S105 - a qualifier
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE)
_MECHANISM = re.compile(
    r"([+?~-]?)(all|include|a|mx)(?::([^\s/]+))?(?:/(\d{1,3}))?(?://(\d{1,3}))?",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"([+?~-]?)(ip4|ip6):(\S+)", re.IGNORECASE)


class _NoProof(Exception):
    """The record cannot be read, or not by us."""


async def passes(client: str, domain: str, lookup: Lookup) -> bool:
    """Whether the domain's record lets this client send; raises what lookup does."""
    address = ipaddress.ip_address(client)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    try:
        return await _Check(address, lookup).of(domain) == _PASS
    except _NoProof:
        return False


class _Check:
    """One evaluation: its terms are counted together, includes and all."""

    def __init__(self, client: Address, lookup: Lookup) -> None:
        self._client, self._lookup = client, lookup
        self._terms = 0

    async def of(self, domain: str) -> str:
        """The qualifier of the first term that matches; "" without a record."""
        texts = await self._lookup(domain, "TXT")
        records = [text for text in texts if text.lower().split(" ")[0] == "v=spf1"]
        if not records:
            return ""
        if len(records) > 1:
            raise _NoProof
        redirect = ""
        for term in records[0].split()[1:]:
            modifier = _MODIFIER.fullmatch(term)
            if modifier:
                is_redirect = modifier[1].lower() == "redirect"
                redirect = modifier[2] if is_redirect else redirect
            elif await self._matches(term, domain):
                return term[0] if term[0] in "+?~-" else _PASS
        if not redirect:
            return "?"
        return await self.of(self._name(redirect)) or "?"

    async def _matches(self, term: str, domain: str) -> bool:
        network = _NETWORK.fullmatch(term)
        if network:
            return self._is_in(network[3])
        found = _MECHANISM.fullmatch(term)
        if not found:
            raise _NoProof
        kind, value = found[2].lower(), found[3] or ""
        if kind == "all":
            return True
        name = self._name(value or domain)
        if kind == "include":
            return await self._includes(name)
        names = [name]
        if kind == "mx":
            names = await self._lookup(name, "MX")
            if len(names) > _MOST_EXCHANGERS:
                raise _NoProof
        bits = found[5] if self._client.version == 6 else found[4]
        return await self._is_at(names, bits)

    def _name(self, name: str) -> str:
        """The name of another question, of which there are only so many."""
        self._terms += 1
        if self._terms > _MOST_TERMS or "%" in name:
            raise _NoProof
        return name

    async def _includes(self, name: str) -> bool:
        verdict = await self.of(name)
        if not verdict:
            raise _NoProof
        return verdict == _PASS

    async def _is_at(self, names: list[str], bits: str | None) -> bool:
        kind = "AAAA" if self._client.version == 6 else "A"
        for name in names:
            for address in await self._lookup(name, kind):
                if self._is_in(f"{address}/{bits}" if bits else address):
                    return True
        return False

    def _is_in(self, text: str) -> bool:
        try:
            return self._client in ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise _NoProof from error
