"""Taking in a domain with everything a domain must have, and who runs it."""

from __future__ import annotations

import logging

from django.db import transaction

from aliases.actions import provision
from project.models import User
from smtpd.domains.actions import add_domain
from smtpd.models import Domain

log = logging.getLogger(__name__)


@transaction.atomic
def host_domain(name: str, description: str = "", dkim: str = "rsa") -> Domain:
    """Add a domain, its key, and its postmaster and abuse desk.

    Raise smtpd.domains.actions.Refused when it is no name or is here already.
    """
    domain = add_domain(name, description, dkim)
    provision(domain)
    return domain


@transaction.atomic
def appoint(domain: Domain, email: str) -> User:
    """Let somebody run a domain; who has no user yet gets one, without a password."""
    folded = email.strip().lower()
    person = User.objects.filter(email=folded).first()
    person = person or User.objects.create_user(folded)
    domain.admins.add(person)
    log.info("domain=%s admin=%s appointed", domain, person.email)
    return person


def dismiss(domain: Domain, person: User) -> None:
    """Take a domain out of somebody's hands; the site's admins always keep it."""
    domain.admins.remove(person)
    log.info("domain=%s admin=%s dismissed", domain, person.email)
