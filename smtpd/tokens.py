"""Signed names for rows, fit for a local part or a link.

A token is the row's number, masked and signed: nobody can make one, read the
number out of it, or tell two purposes of one row apart. It is the same each
time it is made, survives servers that change the case of a local part, and
never expires by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32decode
from enum import StrEnum
from functools import lru_cache

from django.conf import settings

# 80 bits of signature and 64 of masked number: 29 letters of base32.
_SIGNATURE = 10
_NUMBER = 8
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_PLACES = range(140, -1, -10)
_FORM = re.compile(r"[a-z2-7]{29}", re.ASCII)


class Purpose(StrEnum):
    """What a token allows; one made for another purpose is forged."""

    BOUNCE = "b"
    UNSUBSCRIBE = "u"
    CONFIRM = "c"
    RESUME = "r"


def make(purpose: Purpose, number: int) -> str:
    """Name a row for a purpose; the same name every time."""
    return _make(_macs(settings.SECRET_KEY, purpose), number)


def read(purpose: Purpose, token: str) -> int | None:
    """The number a token of this purpose names, or None when it is forged.

    Letter case does not matter. Tokens of SECRET_KEY_FALLBACKS are good.
    """
    token = token.lower()
    if not _FORM.fullmatch(token):
        return None
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        number = _read(_macs(secret, purpose), token)
        if number is not None:
            return number
    return None


class _Mac:
    """HMAC-SHA256 (RFC 2104) with the work on the key done once."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in block))

    def __call__(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=32)
def _macs(secret: str, purpose: Purpose) -> tuple[_Mac, _Mac]:
    """For signing and for masking, derived from the secret for a purpose."""
    root = secret.encode()
    sign = hmac.digest(root, b"folkmoot token sign " + purpose.encode(), "sha256")
    mask = hmac.digest(root, b"folkmoot token mask " + purpose.encode(), "sha256")
    return _Mac(sign), _Mac(mask)


def _make(macs: tuple[_Mac, _Mac], number: int) -> str:
    """The signature is the nonce of the mask, as in SIV (RFC 5297)."""
    sign, mask = macs
    signature = sign(number.to_bytes(_NUMBER, "big"))[:_SIGNATURE]
    masked = number ^ int.from_bytes(mask(signature)[:_NUMBER], "big")
    whole = int.from_bytes(signature, "big") << 8 * _NUMBER | masked
    # 144 bits become 145, and two letters at a time 150.
    return "".join([_PAIRS[whole << 6 >> at & 1023] for at in _PLACES])[:-1]


def _read(macs: tuple[_Mac, _Mac], token: str) -> int | None:
    """Made again and compared: no second spelling of a token is accepted."""
    octets = b32decode(token.upper() + "===")
    signature, masked = octets[:_SIGNATURE], octets[_SIGNATURE:]
    mask = macs[1](signature)[:_NUMBER]
    number = int.from_bytes(masked, "big") ^ int.from_bytes(mask, "big")
    return number if hmac.compare_digest(_make(macs, number), token) else None
