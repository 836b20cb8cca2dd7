"""What one port of the listener offers, and to whom."""

from __future__ import annotations

from dataclasses import dataclass

from smtpd.listener.arrival import Network
from smtpd.listener.policies import Policy
from smtpd.listener.requests import Kind


@dataclass(frozen=True, slots=True)
class Service:
    """One or more sockets with the same rules behind them."""

    policy: Policy
    kind: Kind = Kind.SMTP
    # The client shakes hands before the greeting (RFC 8314 3.3).
    is_tls: bool = False
    # Proxies there must say whom they bring, and are believed.
    trusts: tuple[Network, ...] = ()
