"""E-mail addresses of people: checked, folded, and told from robots.

Pure: strings in, strings out.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass

from smtpd import paths

MAX_LENGTH = 254
GMAIL = frozenset({"gmail.com", "googlemail.com"})
# Local parts behind which nobody reads.
ROBOTS = (
    "mailer-daemon",
    "no-reply",
    "noreply",
    "do-not-reply",
    "donotreply",
    "bounce",
    "listserv",
    "majordomo",
)


class BadAddress(ValueError):
    """Not an address mail can be sent to; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class PersonAddress:
    """An address as it is stored and as it is compared."""

    # As written, the domain as an A-label in lower case.
    address: str
    # Lower case throughout: what makes two addresses the same.
    folded: str
    domain: str


def read(text: str) -> PersonAddress:
    """Check an address typed by a person; raise BadAddress with the reason."""
    text = unicodedata.normalize("NFC", text.strip())
    if "@" not in text:
        raise BadAddress("an address has a name, an @ and a domain")
    try:
        path = paths.mailbox(text)
    except paths.BadPath as error:
        raise BadAddress("this is not an e-mail address") from error
    if path.domain.startswith("[") or not path.domain or not path.local_part:
        raise BadAddress("an address has a name, an @ and a domain")
    address = str(path)
    if len(address.encode()) > MAX_LENGTH:
        raise BadAddress(f"an address has at most {MAX_LENGTH} characters")
    return PersonAddress(address, address.lower(), path.domain)


def one_line(name: str) -> str:
    """A person's name as it is stored: one line, nothing invisible."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(shown.split())[:100]


def limit_key(folded: str) -> str:
    """The mailbox behind an address, as well as one can know it.

    sam+lists@ and sam@ are one mailbox, and Gmail ignores dots: a limit that
    did not know this would be no limit.
    """
    local_part, _, domain = folded.rpartition("@")
    local_part = local_part.partition("+")[0] or local_part
    if domain in GMAIL:
        local_part, domain = local_part.replace(".", ""), "gmail.com"
    return f"{local_part}@{domain}"


def source(asked_from: str) -> str:
    """Where a wish came from, as it is stored: an IPv6 address written out.

    Whoever has one IPv6 address has the other 2^64 of its network; written
    out, the network is a prefix (see network()).
    """
    try:
        return ipaddress.ip_address(asked_from).exploded
    except ValueError:
        return asked_from[:100]


def network(source: str) -> str:
    """The part of a source that one person holds: the /64 of IPv6."""
    is_ipv6 = source.count(":") == 7 and len(source) == 39
    return source[:20] if is_ipv6 else source


def is_robot(address: str) -> bool:
    """Whether nobody would read an answer to this address."""
    local_part = address.rpartition("@")[0].lower()
    return local_part.startswith(ROBOTS) or local_part.endswith(
        ("-bounces", "-request", "-owner")
    )
