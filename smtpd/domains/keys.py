"""All keys of a domain as people see them: nothing of their private halves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from smtpd.domains.age import age
from smtpd.domains.dns import public_key
from smtpd.domains.published import Finding, look_all
from smtpd.models import Domain

ACTIVE = "active"


@dataclass(slots=True)
class Shown:
    """One key: the one that signs, the next or a former one."""

    selector: str
    # Where its record stands, and what it says.
    owner: str
    record: str
    # Active, or a SigningKey.State.
    state: str
    made_at: datetime
    removable_at: datetime | None = None
    is_removable: bool = False
    # What DNS says of it; None: nobody asked.
    finding: Finding | None = None

    @property
    def kind(self) -> str:
        return "Ed25519" if "k=ed25519" in self.record else "RSA, 2048 bits"

    @property
    def age(self) -> str:
        return age(self.made_at, timezone.now())


def keys_of(domain: Domain, *, ask: bool) -> list[Shown]:
    """The key in use first; with what DNS says of each, if it is to be asked."""
    found: list[Shown] = []
    if domain.dkim_key:
        selector = domain.dkim_selector
        owner = f"{selector}._domainkey.{domain.name}"
        record = public_key(domain.dkim_key)
        found.append(Shown(selector, owner, record, ACTIVE, domain.dkim_made_at))
    found += [
        Shown(
            key.selector,
            str(key),
            key.record,
            key.state,
            key.made_at,
            key.removable_at,
            key.is_removable,
        )
        for key in domain.signing_keys.remembered().select_related("domain")
    ]
    if ask:
        findings = look_all([(key.owner, key.record) for key in found])
        for key, finding in zip(found, findings, strict=True):
            key.finding = finding
    return found
