"""Counts that slow down guessers and stolen passwords, in Django's cache.

Wrong passwords are counted for a name as seen from one network, and for a
network whatever the name. Never for a name alone: a guesser elsewhere must not
lock the person out. All processes share the counts; they end by themselves,
and a cache that does not answer brakes nobody.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
T = TypeVar("T")

# Wrong passwords for a name from one network, and from it for any name, before
# the answer is 454 for the rest of the window.
OF_NAME = 5
OF_NETWORK = 50
WINDOW_SECONDS = 600
_DAY_SECONDS = 86_400


def network_of(peer: str) -> str:
    """What one person moves about in: an IPv4 /24, an IPv6 /64."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "local"
    prefix = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


def is_braked(name: str, peer: str) -> bool:
    """Whether this name is not tried from there for now."""
    of_name, of_network = _keys(name, peer)
    nothing: dict[str, Any] = {}
    counts = _safely(partial(cache.get_many, (of_name, of_network)), nothing)
    is_guess = counts.get(of_name, 0) >= OF_NAME
    is_spray = counts.get(of_network, 0) >= OF_NETWORK
    return bool(is_guess or is_spray)


def note_failure(name: str, peer: str) -> None:
    """Count a wrong password."""
    for key in _keys(name, peer):
        _safely(partial(_add, key, 1, WINDOW_SECONDS), 0)


def note_success(name: str, peer: str) -> None:
    """Forgive a person who found the right one. Not the network."""
    of_name, _ = _keys(name, peer)
    _safely(partial(cache.delete, of_name), False)


def may_spend(user_id: int, count: int = 1) -> bool:
    """Whether so many more recipients are within today's limit."""
    most = settings.SUBMISSION_DAILY_RECIPIENTS
    spent = _safely(partial(cache.get, _day_key(user_id), 0), 0)
    return not most or int(spent) + count <= most


def spend(user_id: int, count: int) -> None:
    """Count recipients of a message that was taken."""
    _safely(partial(_add, _day_key(user_id), count, _DAY_SECONDS), 0)


def _keys(name: str, peer: str) -> tuple[str, str]:
    """For the name from there, and for the network. A name may be anything."""
    network = network_of(peer)
    folded = hashlib.sha256(name.strip().lower().encode()).hexdigest()
    return f"auth:{network}:{folded[:32]}", f"auth:{network}"


def _day_key(user_id: int) -> str:
    return f"submission:{user_id}:{timezone.now():%Y-%m-%d}"


def _add(key: str, count: int, seconds: int) -> int:
    """Count on; the first one starts the clock."""
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key, count)
    except ValueError:
        # Its time ended between the two.
        return count


def _safely(work: Callable[[], T], otherwise: T) -> T:
    try:
        return work()
    except (RedisError, OSError) as error:
        log.warning("brake=off reason=%s", error)
        return otherwise
