"""Whether DNS says of a key what it should."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import dns.asyncresolver
import dns.exception
import dns.resolver
from django.core.exceptions import ImproperlyConfigured

from smtpd import nameserver
from smtpd.domains.dns import tags

log = logging.getLogger(__name__)

# For one question with all its tries, in seconds: a person waits for it.
_PATIENCE = 5.0


class State(StrEnum):
    # As it should be.
    RIGHT = "right"
    # There is no record.
    MISSING = "missing"
    # Another key, or one that verifiers may not use.
    WRONG = "wrong"
    # Nobody answered.
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Finding:
    """What DNS says, also in words for whoever has to publish it."""

    state: State
    text: str

    @property
    def is_right(self) -> bool:
        return self.state == State.RIGHT


def look(owner: str, record: str) -> Finding:
    """Ask the site's DNS server for the key record of one name."""
    return look_all([(owner, record)])[0]


def look_all(wanted: Sequence[tuple[str, str]]) -> list[Finding]:
    """The same for several names, all asked at once."""
    return asyncio.run(_look_all(wanted))


async def _look_all(wanted: Sequence[tuple[str, str]]) -> list[Finding]:
    try:
        resolver = nameserver.resolver()
    except ImproperlyConfigured as error:
        return [Finding(State.SILENT, f"DNS cannot be asked: {error}.")] * len(wanted)
    return await asyncio.gather(*(_look(resolver, *each) for each in wanted))


async def _look(
    resolver: dns.asyncresolver.Resolver, owner: str, record: str
) -> Finding:
    try:
        answer = await resolver.resolve(
            f"{owner}.", "TXT", lifetime=_PATIENCE, search=False
        )
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return judge(owner, [], record)
    except dns.exception.DNSException as error:
        log.info("dns name=%s silent reason=%s", owner, error)
        return Finding(State.SILENT, f"DNS does not answer for {owner}.")
    # RFC 6376 3.6.2.2: the strings of a record are joined without a space.
    return judge(owner, [b"".join(each.strings) for each in answer], record)


def judge(owner: str, found: Sequence[bytes], record: str) -> Finding:
    """Compare what was found with what should be there (RFC 6376 3.6.1)."""
    if not found:
        return Finding(State.MISSING, f"DNS has no record {owner} yet.")
    if len(found) > 1:
        text = f"{owner} has {len(found)} TXT records; only one may be there."
        return Finding(State.WRONG, text)
    complaint = _complaint(tags(found[0].decode("latin-1")), tags(record))
    if complaint:
        return Finding(State.WRONG, f"{owner} {complaint}.")
    return Finding(State.RIGHT, f"{owner} is in DNS.")


def _complaint(there: dict[str, str], wanted: dict[str, str]) -> str:
    """What is wrong with a record, to be read behind its name; or nothing."""
    if there.get("v", "DKIM1") != "DKIM1":
        return "does not begin with v=DKIM1"
    if not wanted["p"]:
        return "still has a key" if there.get("p") else ""
    if (there.get("k", "rsa"), there.get("p")) != (wanted["k"], wanted["p"]):
        return "has another key than this one"
    if not (_allows(there, "h", "sha256") and _allows(there, "s", "email")):
        return "does not let this key sign mail with SHA-256 (h= or s=)"
    return ""


def _allows(there: dict[str, str], tag: str, what: str) -> bool:
    """A list of what is allowed; everything, where it is missing."""
    return tag not in there or not {what, "*"}.isdisjoint(there[tag].split(":"))
