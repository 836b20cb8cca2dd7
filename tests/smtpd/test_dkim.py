"""Our signatures, checked by dkimpy: another author, another code."""

from __future__ import annotations

from base64 import b64encode

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from smtpd.outbound.dkim import SIGNED, Signer
from smtpd.outbound.render import Parts, compile_parts

Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEYS: dict[str, Key] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
HEAD = (
    b"From: Olga <olga@lists.test>\r\nTo: talk@lists.test\r\nSubject: tea\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@lists.test>\r\n"
)
PLAIN = b"Hello\r\n"


def pem(key: Key | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def record(key: Key) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return b"v=DKIM1; k=ed25519; p=" + b64encode(public)
    public = key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return b"v=DKIM1; k=rsa; p=" + b64encode(public)


def signed(kind: str, parts: Parts, token: str = "") -> bytes:
    """A copy as the recipient sees it, without stuffing and the final dot."""
    signer = Signer("lists.test", "folkmoot", pem(KEYS[kind]))
    compiled = compile_parts(parts, signer, signed_at=1_700_000_000)
    copy = compiled.sign(token) + compiled.copy(token)
    assert copy.endswith(b"\r\n.\r\n")
    return copy[:-3].replace(b"\r\n..", b"\r\n.")


def is_good(kind: str, raw: bytes) -> bool:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"folkmoot._domainkey.lists.test."
        return record(KEYS[kind])

    return bool(dkim.verify(raw, dnsfunc=dns))


CASES = {
    "plain": (HEAD, PLAIN),
    "8-bit": (
        HEAD + "X: é\r\n".encode(),
        "Grüße\r\n".encode() + bytes(range(128, 256)),
    ),
    "folded": (HEAD.replace(b": tea", b": tea\r\n\t and \r\n  cake"), PLAIN),
    "empty body": (HEAD, b""),
    "only line breaks": (HEAD, b"\r\n\r\n\r\n"),
    "no subject": (HEAD.replace(b"Subject: tea\r\n", b""), PLAIN),
    "empty subject": (HEAD.replace(b": tea", b":"), PLAIN),
    "no last line break": (HEAD, b"Hello"),
    "spaces at the end": (HEAD, b"Hello  \t \r\n \r\n\t\r\n"),
    "only spaces": (HEAD, b"  \t"),
    "inner spaces": (HEAD, b"a \t  b\r\n  c\r\n"),
    "long": (HEAD, b"x" * 70 + b"\r\n" + b"0123456789\r\n" * 90_000),
    "many empty lines": (HEAD, b"x\r\n" + b"\r\n" * 200_000),
    "twice": (HEAD + b"Subject: cake\r\nTo: olga@lists.test\r\n", PLAIN),
    "dots": (HEAD, b".\r\n..\r\n.x\r\n"),
    "odd case": (HEAD.replace(b"Subject:", b"SUBJECT:"), PLAIN),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KEYS)
def test_signature_holds(kind: str, case: str) -> None:
    head, body = CASES[case]
    assert is_good(kind, signed(kind, Parts(head, b"", body)))


@pytest.mark.parametrize(
    ("body", "splices"),
    [
        (b"Leave: \r\n", (7,)),
        (b"\r\n\r\n", (0,)),
        (b"", (0,)),
        (b"a  b \t\r\n", (2, 2, 5)),
        (b"<a href=/u/>\r\n.\r\n<b>\r\n\r\n\r\n", (11, 14, 15)),
        (b"ends with it ", (13,)),
    ],
)
@pytest.mark.parametrize("kind", KEYS)
def test_each_recipient_has_a_signature_that_holds(
    kind: str, body: bytes, splices: tuple[int, ...]
) -> None:
    copy_head = (
        b"List-Unsubscribe: <mailto:leave+{token}@lists.test>,\r\n"
        b" <https://lists.test/u/{token}>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    parts = Parts(HEAD, copy_head, body, splices)
    for token in ("aaaa", "bbbb"):
        raw = signed(kind, parts, token)
        assert raw.count(token.encode()) == 2 + len(splices)
        assert is_good(kind, raw)
        assert not is_good(kind, raw.replace(b"/u/" + token.encode(), b"/u/cccc"))


def test_every_signed_field_is_guarded() -> None:
    others = b"".join(
        b"%s: one\r\n" % name.encode()
        for name in SIGNED
        if b"\n%s:" % name.encode() not in b"\n" + HEAD.lower()
    )
    raw = signed("ed25519", Parts(HEAD + others, b"", PLAIN))
    assert is_good("ed25519", raw)
    lines = raw.split(b"\r\n")
    for name in SIGNED:
        start = name.encode() + b":"
        at = [n for n, line in enumerate(lines) if line.lower().startswith(start)]
        (place,) = at
        changed = [*lines[:place], lines[place] + b"x", *lines[place + 1 :]]
        assert not is_good("ed25519", b"\r\n".join(changed)), name


def test_second_from_on_the_way_breaks_it() -> None:
    raw = signed("rsa", Parts(HEAD, b"", PLAIN))
    at = raw.index(b"From:")
    assert not is_good("rsa", raw[:at] + b"From: nick@evil.test\r\n" + raw[at:])


def test_changed_or_longer_body_breaks_it() -> None:
    raw = signed("rsa", Parts(HEAD, b"", PLAIN))
    assert not is_good("rsa", raw.replace(b"Hello", b"Hallo"))
    assert not is_good("rsa", raw + b"more\r\n")


def test_lines_are_short_and_the_signature_is_on_top() -> None:
    raw = signed("rsa", Parts(HEAD, b"", PLAIN))
    assert raw.startswith(b"DKIM-Signature: v=1;")
    assert max(map(len, raw.split(b"\r\n"))) <= 100


def test_key_that_cannot_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        Signer("lists.test", "s", pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match=r".+"):
        Signer("lists.test", "s", "no key")
