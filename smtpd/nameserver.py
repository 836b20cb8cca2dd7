"""Whom we ask for records: DNS_SERVER, or what the machine asks."""

from __future__ import annotations

import dns.asyncresolver
import dns.resolver
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from smtpd.outbound import relay

_PORT = 53


def resolver() -> dns.asyncresolver.Resolver:
    """One that asks there; ImproperlyConfigured when there is nobody to ask."""
    if not settings.DNS_SERVER:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            raise ImproperlyConfigured(
                "this machine knows no DNS server: set DNS_SERVER"
            ) from error
    made = dns.asyncresolver.Resolver(configure=False)
    host, port = relay.host_and_port(settings.DNS_SERVER, _PORT)
    made.nameservers, made.port = [host], port
    return made
