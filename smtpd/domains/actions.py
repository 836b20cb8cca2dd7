"""What the site's admins do with domains."""

from __future__ import annotations

import logging

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from smtpd import paths
from smtpd.models import Domain
from smtpd.paths import BadPath

log = logging.getLogger(__name__)

# RFC 8301 3.2: verifiers need not take shorter ones; longer do not fit everywhere.
RSA_BITS = 2048
KEY_KINDS = ("rsa", "ed25519", "")


class Refused(ValidationError):
    """What was asked is not possible; its messages say why, to a person."""


def add_domain(name: str, description: str = "", dkim: str = "rsa") -> Domain:
    """Take in a domain with a fresh signing key: "rsa", "ed25519" or "" for none.

    The name may be written in any script and is kept as its A-label. The
    domain has no addresses yet: project.hosting.host_domain adds those every
    domain must have.
    """
    host = check_name(name)
    key = make_key(dkim)
    try:
        with transaction.atomic():
            domain = Domain.objects.create(
                name=host, description=description, dkim_key=key
            )
    except IntegrityError:
        raise Refused(f"{host} is already a domain of this site.") from None
    log.info("domain=%s added dkim=%s", host, dkim or "none")
    return domain


def close_domain(domain: Domain) -> None:
    """Refuse all mail but the postmaster's; nothing is forgotten."""
    _set_active(domain, active=False)


def open_domain(domain: Domain) -> None:
    """Take the domain's mail again."""
    _set_active(domain, active=True)


def renew_key(domain: Domain, selector: str, dkim: str = "rsa") -> None:
    """Sign with a new key from now on, published under a selector of its own.

    Copies already queued are signed with it too: publish the record first.
    """
    if selector == domain.dkim_selector:
        raise Refused(f"{selector} is the selector of the key in use.")
    domain.dkim_selector = check_name(selector)
    domain.dkim_key = make_key(dkim)
    domain.save(update_fields=["dkim_selector", "dkim_key"])
    log.info("domain=%s selector=%s dkim=%s", domain, selector, dkim or "none")


def set_correction(domain: Domain, correction: str) -> None:
    """Choose what senders to its moved addresses hear; "" leaves it to the site."""
    domain.correction = correction
    domain.save(update_fields=["correction"])
    log.info("domain=%s correction=%s", domain, correction or "site")


def check_name(name: str) -> str:
    """Return a domain name as it stands in envelopes and DNS, or refuse it."""
    try:
        host = paths.mailbox(f"postmaster@{name.strip().rstrip('.')}").domain
    except BadPath:
        raise Refused(f"{name} is not a domain name.") from None
    if host.startswith("["):
        raise Refused(f"{name} is an address, not a domain name.")
    return host


def make_key(kind: str) -> str:
    """A fresh private key as PEM (PKCS 8), or nothing for the kind ""."""
    if kind not in KEY_KINDS:
        raise Refused(f"{kind} is not a kind of key: rsa or ed25519.")
    if not kind:
        return ""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")


def _set_active(domain: Domain, *, active: bool) -> None:
    domain.is_active = active
    domain.save(update_fields=["is_active"])
    log.info("domain=%s active=%s", domain, active)
