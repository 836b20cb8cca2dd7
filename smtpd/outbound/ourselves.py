"""Whether an address is our own listener's: mail must not go round to us."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address

from smtpd.outbound.exchangers import Address

_ALL = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound


def listens_at(bind: str) -> Callable[[Address], bool]:
    """Say of an address whether `bind`, a setting like SMTP_BIND, answers there."""
    if not bind:
        return lambda address: False
    host = bind.rpartition(":")[0].strip("[]")
    if host in _ALL:
        return _is_this_machine
    own = {found[4][0] for found in socket.getaddrinfo(host, None)}
    addresses = {ip_address(name) for name in own}
    return lambda address: address in addresses


def _is_this_machine(address: Address) -> bool:
    """Only an address of this machine can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
