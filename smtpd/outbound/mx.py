"""Who takes the mail of a domain, as DNS says (RFC 5321 5.1).

One lookup of a domain is under way at a time, and its answer is kept for as
long as its records live, within bounds. What DNS does not answer is
`Unanswered` and asked again later; what it answers with no is Undeliverable.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random, SystemRandom

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from smtpd.outbound.exchangers import (
    Address,
    Exchanger,
    Undeliverable,
    in_order,
    literal,
    targets,
)
from smtpd.outbound.opening import HostTrouble
from smtpd.outbound.relay import TLS, Hop

_MOST_CNAMES = 16
# For one question with all its tries, in seconds.
_PATIENCE = 10.0
# Questions under way at once: each has a socket.
_MOST_QUESTIONS = 100
# Seconds an answer is kept, whatever its records say.
LEAST_TTL = 30.0
MOST_TTL = 3600.0
_MOST_KEPT = 10_000


class Unanswered(HostTrouble):
    """DNS did not say; it may later."""

    enhanced = "4.4.3"


@dataclass(frozen=True, slots=True)
class Site:
    """What of ourselves a lookup must know."""

    name: str
    port: int = 25
    tls: TLS = TLS.OPPORTUNISTIC
    # Whether our own listener answers at an address.
    is_ours: Callable[[Address], bool] = lambda address: False
    # Whether mail may go to loopback, private and link-local addresses.
    may_be_private: bool = False


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of one name and kind, and how long they live."""

    texts: tuple[str, ...] = ()
    preferences: tuple[int, ...] = ()
    ttl: float = MOST_TTL


class _NoSuchName(Exception):
    """NXDOMAIN."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A host, and what DNS said about where it is."""

    exchanger: Exchanger
    addresses: tuple[Address, ...]
    ttl: float
    # DNS did not answer for one family or both.
    is_partial: bool


@dataclass(slots=True)
class _Kept:
    until: float
    hops: tuple[Hop, ...] = ()
    trouble: Undeliverable | None = None

    def hand_out(self) -> tuple[Hop, ...]:
        if self.trouble is not None:
            # A new one each time: a traceback grows with each raise.
            raise Undeliverable(
                str(self.trouble), self.trouble.enhanced, self.trouble.code
            )
        return self.hops


@dataclass(slots=True)
class Exchanges:
    """Looks up servers and remembers them. Belongs to one event loop."""

    resolver: dns.asyncresolver.Resolver
    site: Site
    clock: Callable[[], float] = time.monotonic
    dice: Random = field(default_factory=SystemRandom)
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _asking: dict[str, asyncio.Task[_Kept]] = field(default_factory=dict)
    _free: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_MOST_QUESTIONS)
    )

    async def servers(self, domain: str) -> Sequence[Hop]:
        """Those that take its mail, the best first.

        Raise Undeliverable when there are none, Unanswered when DNS is silent.
        """
        kept = self._kept.get(domain)
        if kept is not None and kept.until > self.clock():
            return kept.hand_out()
        task = self._asking.get(domain)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._look_up(domain))
            self._asking[domain] = task
            task.add_done_callback(lambda _: self._asking.pop(domain))
        # Whoever waits may be cancelled, the others wait on.
        return (await asyncio.shield(task)).hand_out()

    async def _look_up(self, domain: str) -> _Kept:
        try:
            found, ttl = await self._find(domain)
        except Undeliverable as trouble:
            kept = _Kept(self.clock() + LEAST_TTL, trouble=trouble)
        else:
            ttl = min(max(ttl, LEAST_TTL), MOST_TTL)
            kept = _Kept(self.clock() + ttl, tuple(map(self._hop, found)))
        self._kept[domain] = kept
        self._kept.move_to_end(domain)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept

    def _hop(self, target: tuple[str, Address]) -> Hop:
        name, address = target
        site = self.site
        return Hop(str(address), site.port, tls=site.tls, helo=site.name, name=name)

    async def _find(self, domain: str) -> tuple[list[tuple[str, Address]], float]:
        address = literal(domain)
        if address is not None:
            itself = _Found(Exchanger(0, ""), (address,), MOST_TTL, False)
            return self._targets(domain, [itself]), MOST_TTL
        records, ttl = await self._exchangers(domain)
        hosts = in_order(domain, records, self.site.name.lower(), self.dice)
        found = await asyncio.gather(*map(self._addresses, hosts))
        is_partial = any(host.is_partial for host in found)
        if is_partial and not any(host.addresses for host in found):
            raise Unanswered(f"DNS does not say where the servers of {domain} are")
        ttl = 0 if is_partial else min(ttl, *(host.ttl for host in found))
        return self._targets(domain, found), ttl

    def _targets(
        self, domain: str, found: Sequence[_Found]
    ) -> list[tuple[str, Address]]:
        return targets(
            domain,
            [(host.exchanger, host.addresses) for host in found],
            self.site.is_ours,
            may_be_private=self.site.may_be_private,
        )

    async def _exchangers(self, domain: str) -> tuple[list[Exchanger], float]:
        """The MX records; the domain itself only when there certainly are none."""
        if not domain:
            raise Undeliverable("there is no domain", "5.1.2")
        try:
            answer = await self._ask(domain, "MX")
        except _NoSuchName:
            raise Undeliverable(f"there is no domain {domain}", "5.1.2") from None
        pairs = zip(answer.preferences, answer.texts, strict=True)
        records = [Exchanger(*pair) for pair in pairs]
        return records or [Exchanger(0, domain)], answer.ttl

    async def _addresses(self, exchanger: Exchanger) -> _Found:
        """Where a host is; one that does not exist is nowhere."""
        found: list[Address] = []
        ttl, is_partial = MOST_TTL, False
        for answer in await asyncio.gather(
            *(self._ask(exchanger.host, kind) for kind in ("A", "AAAA")),
            return_exceptions=True,
        ):
            if isinstance(answer, _Records):
                found += map(ip_address, answer.texts)
                ttl = min(ttl, answer.ttl)
            elif isinstance(answer, Unanswered):
                is_partial = True
            elif not isinstance(answer, _NoSuchName):
                raise answer
        return _Found(exchanger, tuple(found), ttl, is_partial)

    async def _ask(self, name: str, kind: str) -> _Records:
        """All records of a kind; none is an answer too. Follows CNAMEs."""
        try:
            asked = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise Undeliverable(f"{name} is no domain", "5.1.2") from error
        try:
            for _ in range(_MOST_CNAMES):
                answer = await self._resolve(asked, kind)
                if answer.rrset is not None or answer.canonical_name == asked:
                    return _records(answer)
                # A server that knows no more of the chain than its beginning.
                asked = answer.canonical_name
        except dns.resolver.NXDOMAIN as error:
            raise _NoSuchName from error
        except dns.exception.DNSException as error:
            raise Unanswered(_silence(name, kind, _why(error))) from error
        raise Unanswered(_silence(name, kind, f"more than {_MOST_CNAMES} CNAMEs"))

    async def _resolve(self, name: dns.name.Name, kind: str) -> dns.resolver.Answer:
        async with self._free:
            return await self.resolver.resolve(
                name, kind, raise_on_no_answer=False, lifetime=_PATIENCE, search=False
            )


def _silence(name: str, kind: str, why: str) -> str:
    return f"DNS does not answer about {name} ({kind}): {why}"


def _why(error: dns.exception.DNSException) -> str:
    """What the servers said, without which of them, how often and in which way."""
    said = {str(attempt[3]).rstrip(".") for attempt in error.kwargs.get("errors", ())}
    return ", ".join(sorted(said)) or str(error)


def _records(answer: dns.resolver.Answer) -> _Records:
    ttl = float(answer.chaining_result.minimum_ttl)
    records = list(answer.rrset or ())
    if answer.rdtype.name == "MX":
        hosts = tuple(_text(record.exchange) for record in records)
        return _Records(hosts, tuple(record.preference for record in records), ttl)
    return _Records(tuple(record.address for record in records), (), ttl)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().strip(".")
