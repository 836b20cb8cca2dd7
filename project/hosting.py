"""Taking in a domain with everything a domain must have."""

from __future__ import annotations

from django.db import transaction

from aliases.actions import provision
from smtpd.domains.actions import add_domain
from smtpd.models import Domain


@transaction.atomic
def host_domain(name: str, description: str = "", dkim: str = "rsa") -> Domain:
    """Add a domain, its key, and its postmaster and abuse desk.

    Raise smtpd.domains.actions.Refused when it is no name or is here already.
    """
    domain = add_domain(name, description, dkim)
    provision(domain)
    return domain
