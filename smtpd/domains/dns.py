"""What a domain has to publish in DNS: pure, a domain in, records out."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

# RFC 1035 3.3.14: one string of a TXT record.
MAX_STRING = 255


class SigningDomain(Protocol):
    """What of a domain stands in its records."""

    name: str
    dkim_selector: str
    dkim_key: str


class Record(NamedTuple):
    """One line of a zone file."""

    # Absolute, with the last dot.
    owner: str
    kind: str
    # As a person pastes it into a form; strings of a TXT not cut.
    value: str
    # What it is good for.
    purpose: str

    def __str__(self) -> str:
        data = _strings(self.value) if self.kind == "TXT" else self.value
        return f"{self.owner} IN {self.kind} {data}"


class OtherKey(Protocol):
    """A key beside the one in use, whose record belongs in DNS as well."""

    selector: str

    @property
    def record(self) -> str: ...

    def get_state_display(self) -> str: ...


def records(
    domain: SigningDomain, hostname: str, others: Iterable[OtherKey] = ()
) -> list[Record]:
    """The records that bring the domain's mail here and vouch for ours.

    str() of each is its line in a zone file. Without a DKIM key there is no
    DKIM line.
    """
    name = f"{domain.name}."
    found = [
        Record(name, "MX", f"10 {hostname.rstrip('.')}.", "brings mail here"),
        # RFC 7208: who may send for the domain; -all: nobody else.
        Record(name, "TXT", f"v=spf1 mx a:{hostname.rstrip('.')} -all", "SPF"),
    ]
    if domain.dkim_key:
        owner = f"{domain.dkim_selector}._domainkey.{name}"
        found.append(Record(owner, "TXT", public_key(domain.dkim_key), "DKIM"))
    for key in others:
        owner = f"{key.selector}._domainkey.{name}"
        purpose = f"DKIM, {key.get_state_display().lower()} key"
        found.append(Record(owner, "TXT", key.record, purpose))
    # RFC 9989: p=none only watches; raise it when the reports are clean.
    policy = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain.name}"
    found.append(Record(f"_dmarc.{name}", "TXT", policy, "DMARC"))
    return found


def public_key(pem: str) -> str:
    """The value of the key record (RFC 6376 3.6.1; RFC 8463 4.2 for Ed25519)."""
    key = load_pem_private_key(pem.encode("ascii"), password=None).public_key()
    if isinstance(key, Ed25519PublicKey):
        octets = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        kind = "ed25519"
    else:
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kind = "rsa"
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode('ascii')}"


def tags(text: str) -> dict[str, str]:
    """The tags of a key record; white space in a value means nothing here."""
    pairs = (piece.partition("=") for piece in text.split(";") if piece.strip())
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}


def _strings(text: str) -> str:
    """The quoted strings of a TXT record, each within its 255 octets."""
    parts = [text[at : at + MAX_STRING] for at in range(0, len(text), MAX_STRING)]
    strings = " ".join(f'"{part}"' for part in parts)
    return f"( {strings} )" if len(parts) > 1 else strings
