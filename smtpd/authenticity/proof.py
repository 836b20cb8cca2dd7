"""Whether the reverse-path of a message is who sent it; asks DNS."""

from __future__ import annotations

import asyncio
import ipaddress

import dns.asyncresolver
import dns.exception
import dns.resolver

from smtpd.authenticity.spf import passes
from smtpd.models import Message
from smtpd.nameserver import resolver

_SECONDS = 5.0


class Later(Exception):
    """DNS did not answer."""


def is_known(message: Message) -> bool:
    """Whether nobody needs to ask: an account, a page, or somebody of ours.

    A front that hands us mail by LMTP has judged the sender itself.
    """
    if message.submitter_id is not None or message.source != Message.Source.SMTP:
        return True
    is_near = not message.peer or ipaddress.ip_address(message.peer).is_private
    return is_near or "LMTP" in message.protocol


def is_proven(message: Message) -> bool:
    """Whether its domain lets the client send (RFC 7208); raise Later without DNS."""
    if is_known(message):
        return True
    domain = message.reverse_path.rpartition("@")[2]
    return asyncio.run(_ask(str(message.peer), domain))


async def _ask(client: str, domain: str) -> bool:
    names = resolver()

    async def lookup(name: str, kind: str) -> list[str]:
        return await _lookup(names, name, kind)

    try:
        async with asyncio.timeout(_SECONDS):
            return await passes(client, domain, lookup)
    except TimeoutError as error:
        raise Later from error


async def _lookup(names: dns.asyncresolver.Resolver, name: str, kind: str) -> list[str]:
    try:
        answer = await names.resolve(name, kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.resolver.NoNameservers, dns.exception.Timeout, OSError) as error:
        raise Later from error
    except dns.exception.DNSException:
        # No name at all.
        return []
    if kind == "TXT":
        return [b"".join(row.strings).decode("latin-1") for row in answer]
    if kind == "MX":
        return [str(row.exchange) for row in answer]
    return [str(row.address) for row in answer]
