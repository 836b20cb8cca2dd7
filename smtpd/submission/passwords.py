"""App passwords: made once, compared, never kept. Pure.

A password is 120 random bits, so one SHA-256 is hash enough: there is nothing
to guess that a slow hash would protect, and a mail program logs in for every
message. It has no key, so that a new SECRET_KEY locks nobody out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

# RFC 4648 6, in lower case: no letter that looks like a digit.
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
LENGTH = 24
GROUP = 4
_BETWEEN = re.compile(r"[\s-]+")


def make() -> str:
    """Return a fresh password in groups of four, as it is shown."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    groups = (letters[at : at + GROUP] for at in range(0, LENGTH, GROUP))
    return "-".join(groups)


def digest(password: str) -> str:
    """Return what is kept of it; case, spaces and hyphens make no difference."""
    letters = _BETWEEN.sub("", password).lower()
    return hashlib.sha256(b"app password " + letters.encode()).hexdigest()


def matches(kept: str, digested: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(kept.encode(), digested.encode())
