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
from django.utils import timezone

from smtpd import paths
from smtpd.domains.dns import public_key
from smtpd.domains.published import look
from smtpd.models import Domain, SigningKey
from smtpd.paths import BadPath

log = logging.getLogger(__name__)

# RFC 8301 3.2: verifiers need not take shorter ones; longer do not fit everywhere.
RSA_BITS = 2048
KEY_KINDS = ("rsa", "ed25519", "")
# A label of DNS, as it is kept.
MAX_SELECTOR = 63
# RFC 1035 2.3.4, as text without the last dot.
MAX_NAME = 253

State = SigningKey.State


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


def make_next_key(domain: Domain, dkim: str = "rsa", selector: str = "") -> SigningKey:
    """Make the key that is to sign next; the one in use signs on.

    Nothing uses it before switch_key. A selector is never used twice.
    """
    pem = make_key(dkim)
    try:
        with transaction.atomic():
            domain = Domain.objects.select_for_update().get(pk=domain.pk)
            selector = _check_selector(domain, selector or _free_selector(domain))
            key = domain.signing_keys.create(
                selector=selector, pem=pem, public=public_key(pem)
            )
    except IntegrityError:
        raise Refused("There is a next key already: switch to it or drop it.") from None
    log.info("domain=%s selector=%s dkim=%s made", domain, selector, dkim)
    return key


def switch_key(domain: Domain, *, force: bool = False) -> SigningKey | None:
    """Sign with the next key, once its record is in DNS; return the former one.

    Refused while DNS does not have it, unless forced. What waits is signed with
    the new key too; workers follow within ten minutes. The old private key is
    forgotten, its record has to stay for a while.
    """
    key = domain.signing_keys.filter(state=State.NEXT).first()
    if key is None:
        raise Refused("There is no next key.")
    finding = look(str(key), key.record)
    if not (finding.is_right or force):
        raise Refused(f"Still signed with the old key. {finding.text}")
    with transaction.atomic():
        domain = Domain.objects.select_for_update().get(pk=domain.pk)
        # Nothing to delete: somebody else was faster.
        if not domain.signing_keys.filter(pk=key.pk, state=State.NEXT).delete()[0]:
            raise Refused("There is no next key any more.")
        former = _stop(domain)
        domain.dkim_selector, domain.dkim_key = key.selector, key.pem
        domain.dkim_made_at = key.made_at
        domain.save(update_fields=["dkim_selector", "dkim_key", "dkim_made_at"])
    log.info("domain=%s selector=%s signs dns=%s", domain, key.selector, finding.state)
    return former


def _stop(domain: Domain) -> SigningKey | None:
    """Keep what others need of the key in use, which is not its private half."""
    if not domain.dkim_key:
        return None
    return domain.signing_keys.create(
        selector=domain.dkim_selector,
        public=public_key(domain.dkim_key),
        state=State.FORMER,
        made_at=domain.dkim_made_at,
        stopped_at=timezone.now(),
    )


def drop_next_key(domain: Domain) -> bool:
    """Forget the next key; False when there was none. Its selector stays taken."""
    changed = domain.signing_keys.filter(state=State.NEXT).update(
        state=State.GONE, pem=""
    )
    log.info("domain=%s next key dropped=%s", domain, bool(changed))
    return bool(changed)


def revoke_key(domain: Domain, selector: str) -> SigningKey:
    """Ask for a record that makes a former key's signatures worthless.

    For a key in wrong hands. The one in use cannot be revoked before another
    one signs.
    """
    if selector == domain.dkim_selector and domain.dkim_key:
        raise Refused("This key is in use. Make a new one, switch to it, revoke then.")
    key = _former_key(domain, selector)
    domain.signing_keys.filter(pk=key.pk).update(state=State.REVOKED)
    log.warning("domain=%s selector=%s revoked", domain, selector)
    key.state = State.REVOKED
    return key


def forget_key(domain: Domain, selector: str) -> None:
    """Note that a former key's record is deleted from DNS.

    Refused while mail it signed may be on the way. A revoked one may go at any
    time, for no record and an empty one say the same (RFC 6376 6.1.2).
    """
    key = _former_key(domain, selector)
    if key.state == State.FORMER and not key.is_removable:
        raise Refused(
            f"Mail signed with {selector} may be on the way until"
            f" {key.removable_at:%d %B %Y}; its record has to stay until then."
        )
    domain.signing_keys.filter(pk=key.pk).update(state=State.GONE)
    log.info("domain=%s selector=%s forgotten", domain, selector)


def _former_key(domain: Domain, selector: str) -> SigningKey:
    states = (State.FORMER, State.REVOKED)
    key = domain.signing_keys.filter(selector=selector, state__in=states).first()
    if key is None:
        raise Refused(f"{selector} is no former key of {domain}.")
    return key


def _check_selector(domain: Domain, selector: str) -> str:
    """RFC 6376 3.1: a label or several; never one that named another key."""
    selector = check_name(selector)
    room = min(MAX_SELECTOR, MAX_NAME - len(f"._domainkey.{domain}"))
    if len(selector) > room:
        raise Refused(f"A selector of {domain} has at most {room} characters.")
    taken = domain.signing_keys.filter(selector=selector)
    if selector == domain.dkim_selector or taken.exists():
        raise Refused(f"{selector} was the selector of another key: choose a new one.")
    return selector


def _free_selector(domain: Domain) -> str:
    """One that says when the key was made: folkmoot-2026-11."""
    stem = f"folkmoot-{timezone.now():%Y-%m}"
    taken = {
        domain.dkim_selector,
        *domain.signing_keys.values_list("selector", flat=True),
    }
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


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
