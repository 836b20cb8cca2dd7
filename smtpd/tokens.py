"""Signed names for rows, fit for a local part or a link.

A token is the row's number, masked and signed: nobody can make one, read the
number out of it, or tell two purposes of one row apart. It is the same each
time it is made, survives servers that change the case of a local part, and
never expires by itself.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode
from enum import StrEnum
from functools import lru_cache

from django.conf import settings

# 80 bits of signature and 64 of masked number: 29 letters of base32.
_SIGNATURE = 10
_NUMBER = 8
_FORM = re.compile(r"[a-z2-7]{29}", re.ASCII)


class Purpose(StrEnum):
    """What a token allows; one made for another purpose is forged."""

    BOUNCE = "b"
    UNSUBSCRIBE = "u"
    CONFIRM = "c"
    RESUME = "r"


def make(purpose: Purpose, number: int) -> str:
    """Name a row for a purpose; the same name every time."""
    return _make(_keys(settings.SECRET_KEY, purpose), number)


def read(purpose: Purpose, token: str) -> int | None:
    """The number a token of this purpose names, or None when it is forged.

    Letter case does not matter. Tokens of SECRET_KEY_FALLBACKS are good.
    """
    token = token.lower()
    if not _FORM.fullmatch(token):
        return None
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        number = _read(_keys(secret, purpose), token)
        if number is not None:
            return number
    return None


@lru_cache(maxsize=32)
def _keys(secret: str, purpose: Purpose) -> tuple[bytes, bytes]:
    """The signing and the masking key of a purpose, derived from the secret."""
    root = secret.encode()
    return (
        hmac.digest(root, b"folkmoot token sign " + purpose.encode(), "sha256"),
        hmac.digest(root, b"folkmoot token mask " + purpose.encode(), "sha256"),
    )


def _mask(key: bytes, signature: bytes) -> int:
    return int.from_bytes(hmac.digest(key, signature, "sha256")[:_NUMBER], "big")


def _make(keys: tuple[bytes, bytes], number: int) -> str:
    """The signature is the nonce of the mask, as in SIV (RFC 5297)."""
    plain = number.to_bytes(_NUMBER, "big")
    signature = hmac.digest(keys[0], plain, "sha256")[:_SIGNATURE]
    masked = (number ^ _mask(keys[1], signature)).to_bytes(_NUMBER, "big")
    return b32encode(signature + masked).rstrip(b"=").decode("ascii").lower()


def _read(keys: tuple[bytes, bytes], token: str) -> int | None:
    """Made again and compared: no second spelling of a token is accepted."""
    octets = b32decode(token.upper() + "===")
    masked = int.from_bytes(octets[_SIGNATURE:], "big")
    number = masked ^ _mask(keys[1], octets[:_SIGNATURE])
    return number if hmac.compare_digest(_make(keys, number), token) else None
