"""DKIM signatures (RFC 6376, RFC 8463) for many copies of one message.

dkimpy signs a message in 14 ms; a copy for each of 10,000 members cannot
wait for that. Here what all copies share is canonicalised and hashed once, and
a copy costs the hash of what is its own and one operation of the key. The
tests use dkimpy as oracle.

Always relaxed/relaxed, and never with l=: a footer of a stranger behind our
signature would be ours.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smtpd.fields import Field, split

if TYPE_CHECKING:
    from hashlib import _Hash

Key: TypeAlias = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

# Stands in a header section for what each recipient has of his own: NUL is in
# no field that may be sent.
CUT = b"\0"
# Named once more than they occur, also where they do not: readers see them, and
# one added on the way breaks the signature (RFC 6376 5.4.2, 8.15).
GUARDED = ("from", "reply-to", "to", "cc", "subject")
# The same, but only of those that are there: an honest server may add what is
# missing. RFC 6376 5.4.1; RFC 8058 4 wants both List-Unsubscribe fields signed.
# What differs from copy to copy comes last: all before it is hashed once.
SIGNED = (
    *("sender", "date", "message-id", "in-reply-to", "references"),
    *("mime-version", "content-type", "content-transfer-encoding"),
    *("list-id", "list-help", "list-subscribe", "list-post", "list-owner"),
    *("list-archive", "list-unsubscribe-post", "list-unsubscribe"),
)
_GAP = re.compile(rb"  +")
_LINE = 72
# Keys a process keeps ready: the first signature of one costs twice the others.
_MOST_KEYS = 512
_PKCS1 = padding.PKCS1v15()
_DIGEST = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class Pieces:
    """Octets cut at each token; all before the first one is hashed already."""

    begun: _Hash
    # The rest, with an empty one in front; a token belongs between them.
    rest: tuple[bytes, ...]

    @classmethod
    def of(cls, pieces: Sequence[bytes]) -> Pieces:
        first, *others = pieces
        return cls(hashlib.sha256(first), (b"", *others))

    def hash(self, token: bytes, last: bytes = b"") -> bytes:
        """SHA-256 of the whole, with something behind it."""
        begun = self.begun.copy()
        begun.update(token.join(self.rest) + last)
        return begun.digest()


@dataclass(frozen=True, slots=True)
class Prepared:
    """One message, ready to be signed for any number of recipients."""

    signer: Signer
    # Canonical header fields up to the value of bh=.
    signed: Pieces
    # The signature field as sent, up to the value of bh=.
    field: bytes
    body: Pieces
    # The value of bh=; empty if it differs from copy to copy.
    body_hash: bytes
    # The whole field, if it is the same in every copy.
    same: bytes = b""

    def sign(self, token: bytes = b"") -> bytes:
        """The whole DKIM-Signature field of one recipient's copy."""
        if self.same:
            return self.same
        body_hash = self.body_hash or b64encode(self.body.hash(token))
        digest = self.signed.hash(token, body_hash + b"; b=")
        signature = _fold(b64encode(self.signer.sign(digest)))
        return b"%s%s;\r\n\tb=%s\r\n" % (self.field, body_hash, signature)


class Signer:
    """The key of one domain. Raise ValueError for a key that cannot sign."""

    def __init__(self, domain: str, selector: str, pem: str) -> None:
        try:
            self._key = _load(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"DKIM key of {domain}: {error}") from error
        is_rsa = isinstance(self._key, rsa.RSAPrivateKey)
        algorithm = "rsa-sha256" if is_rsa else "ed25519-sha256"
        self._tags = f"v=1; a={algorithm}; c=relaxed/relaxed; d={domain};".encode()
        self._selector = selector.encode()

    def sign(self, digest: bytes) -> bytes:
        """What b= holds, of the SHA-256 of the fields. Other threads go on."""
        return _sign(self._key, digest)

    def prepare(
        self, head: bytes, body: Sequence[bytes], *, signed_at: int
    ) -> Prepared:
        """Do once what is the same in every copy.

        In the head CUT stands for the recipient's token, and the body is cut
        where it is inserted. A token has no white space.
        """
        names, canonical = _canonical_fields(head)
        field = b"DKIM-Signature: %s\r\n\ts=%s; t=%d;\r\n\th=%s;\r\n\tbh=" % (
            self._tags,
            self._selector,
            signed_at,
            _fold_names(names),
        )
        # The field signs itself, without its last line break and value of b=.
        signed = (canonical + _relaxed(field)).split(CUT)
        pieces = Pieces.of(_canonical_body(body))
        body_hash = b"" if len(body) > 1 else b64encode(pieces.hash(b""))
        prepared = Prepared(self, Pieces.of(signed), field, pieces, body_hash)
        if body_hash and len(signed) == 1:
            return replace(prepared, same=prepared.sign())
        return prepared


@lru_cache(maxsize=_MOST_KEYS)
def _load(pem: str) -> Key:
    """A key that has shown that it can sign.

    To look whether its primes are prime takes 37 ms, and they were when it was
    made; a signature that does not hold shows what may have changed since.
    """
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("neither RSA nor Ed25519")
    digest = hashlib.sha256(b"a try").digest()
    try:
        _verify(key, _sign(key, digest), digest)
    except InvalidSignature:
        raise ValueError("its signatures do not hold") from None
    return key


def _sign(key: Key, digest: bytes) -> bytes:
    """RFC 6376 3.3, RFC 8463 3: both sign the hash."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, _PKCS1, _DIGEST)
    return key.sign(digest)


def _verify(key: Key, signature: bytes, digest: bytes) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(signature, digest, _PKCS1, _DIGEST)
    else:
        key.public_key().verify(signature, digest)


def _canonical_fields(head: bytes) -> tuple[list[bytes], bytes]:
    """The names for h= and the fields they stand for, in that order.

    A verifier takes fields of one name from the bottom up (RFC 6376 5.4.2).
    """
    fields, _ = split(head)
    by_name: dict[str, list[Field]] = {}
    for each in reversed(fields):
        by_name.setdefault(each.name, []).append(each)
    names: list[bytes] = []
    canonical: list[bytes] = []
    for name in (*GUARDED, *SIGNED):
        same = by_name.get(name, [])
        if same or name in GUARDED:
            names += [name.encode()] * (len(same) + 1)
            canonical += [_relaxed(each.raw) + b"\r\n" for each in same]
    return names, b"".join(canonical)


def _relaxed(raw: bytes) -> bytes:
    """RFC 6376 3.4.2: one header field, without its line break."""
    name, _, value = raw.partition(b":")
    value = _squeezed(value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value


def _canonical_body(pieces: Sequence[bytes]) -> tuple[bytes, ...]:
    """RFC 6376 3.4.4, piece by piece: a token neither begins nor ends a line's
    white space, so that cutting before or after makes no difference.
    """
    done = [_squeezed(piece).replace(b" \r\n", b"\r\n") for piece in pieces]
    last = done[-1].rstrip(b" \r\n")
    if len(done) == 1 and not last:
        return (b"",)
    done[-1] = last + b"\r\n"
    return tuple(done)


def _squeezed(octets: bytes) -> bytes:
    """One space for all white space in a line. A search for two is quick."""
    octets = octets.replace(b"\t", b" ")
    return _GAP.sub(b" ", octets) if b"  " in octets else octets


def _fold_names(names: Sequence[bytes]) -> bytes:
    """RFC 6376 3.5: white space may stand around the colons of h=."""
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"\r\n\t ".join(lines)[:-1]


def _fold(signature: bytes) -> bytes:
    lines = [signature[at : at + _LINE] for at in range(0, len(signature), _LINE)]
    return b"\r\n\t ".join(lines)
