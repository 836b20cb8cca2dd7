"""DKIM signatures (RFC 6376, RFC 8463) for many copies of one message.

dkimpy signs a message in 14 ms; a copy for each of 10,000 members cannot
wait for that. Here what all copies share is canonicalised once, and a copy
costs one hash and one operation of the key. The tests use dkimpy as oracle.

Always relaxed/relaxed, and never with l=: a footer of a stranger behind our
signature would be ours.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smtpd.fields import split

# Stands in a header section for what each recipient has of his own: NUL is in
# no field that may be sent.
CUT = b"\0"
# RFC 6376 5.4.1, RFC 8058 4 (both List-Unsubscribe fields must be signed).
SIGNED = (
    *("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id"),
    *("in-reply-to", "references", "mime-version", "content-type"),
    *("content-transfer-encoding", "list-id", "list-help", "list-subscribe"),
    *("list-unsubscribe", "list-unsubscribe-post", "list-post", "list-owner"),
    "list-archive",
)
_WSP = re.compile(rb"[ \t]+")
_END_OF_LINE = re.compile(rb" +(?=\r\n)")
_LINE = 72


@dataclass(frozen=True, slots=True)
class Prepared:
    """One message, ready to be signed for any number of recipients."""

    signer: Signer
    # Canonical header fields up to the value of bh=, cut at each token.
    signed: tuple[bytes, ...]
    # The signature field as sent, up to the value of bh=.
    field: bytes
    # The canonical body, cut at each token; the first piece already hashed.
    body: tuple[bytes, ...]
    body_hash: bytes

    def sign(self, token: bytes = b"") -> bytes:
        """The whole DKIM-Signature field of one recipient's copy."""
        body_hash = self.body_hash if len(self.body) == 1 else self._hash(token)
        data = b"%s%s; b=" % (token.join(self.signed), body_hash)
        signature = b64encode(self.signer.sign(data))
        return b"%s%s;\r\n\tb=%s\r\n" % (self.field, body_hash, _fold(signature))

    def _hash(self, token: bytes) -> bytes:
        return _hash(token.join(self.body))


class Signer:
    """The key of one domain. Raise ValueError for a key that cannot sign."""

    def __init__(self, domain: str, selector: str, pem: str) -> None:
        key = load_pem_private_key(pem.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError(f"DKIM key of {domain} is neither RSA nor Ed25519")
        self._key = key
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        algorithm = "rsa-sha256" if is_rsa else "ed25519-sha256"
        self._tags = f"v=1; a={algorithm}; c=relaxed/relaxed; d={domain};".encode()
        self._selector = selector.encode()

    @property
    def is_slow(self) -> bool:
        """Whether a signature is worth the way to another thread."""
        return isinstance(self._key, rsa.RSAPrivateKey)

    def sign(self, data: bytes) -> bytes:
        """RFC 6376 3.7, RFC 8463 3: Ed25519 signs the hash of the data."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(hashlib.sha256(data).digest())

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
        signed = canonical + _relaxed(field)
        pieces = _canonical_body(body)
        body_hash = _hash(pieces[0]) if len(pieces) == 1 else b""
        cut = tuple(signed.split(CUT))
        return Prepared(self, cut, field, pieces, body_hash)


def _hash(body: bytes) -> bytes:
    return b64encode(hashlib.sha256(body).digest())


def _canonical_fields(head: bytes) -> tuple[list[bytes], bytes]:
    """The names for h= and the fields they stand for, in that order.

    A verifier takes fields of one name from the bottom up (RFC 6376 5.4.2).
    From is named once more than it occurs: a second one added on the way
    breaks the signature (8.15).
    """
    fields, _ = split(head)
    names: list[bytes] = []
    canonical: list[bytes] = []
    for name in SIGNED:
        same = [field.raw for field in reversed(fields) if field.name == name]
        names += [name.encode()] * len(same)
        canonical += [_relaxed(raw) + b"\r\n" for raw in same]
    return [*names, b"from"], b"".join(canonical)


def _relaxed(raw: bytes) -> bytes:
    """RFC 6376 3.4.2: one header field, without its line break."""
    name, _, value = raw.partition(b":")
    value = _WSP.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value


def _canonical_body(pieces: Sequence[bytes]) -> tuple[bytes, ...]:
    """RFC 6376 3.4.4, piece by piece: a token neither begins nor ends a line's
    white space, so that cutting before or after makes no difference.
    """
    done = [_END_OF_LINE.sub(b"", _WSP.sub(b" ", piece)) for piece in pieces]
    last = done[-1].rstrip(b" \r\n")
    if len(done) == 1 and not last:
        return (b"",)
    done[-1] = last + b"\r\n"
    return tuple(done)


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
