"""Our signatures, checked by dkimpy: another author, another code."""

from __future__ import annotations

from base64 import b64encode

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from smtpd.outbound.dkim import GUARDED, SIGNED, Signer
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
    "empty lines at the end": (HEAD, b"Hello\r\n\r\n\r\n"),
    "tabs": (
        HEAD.replace(b": tea", b":\ttea\t\tand\t cake \t"),
        b"\ta\t \tb\t\r\n\t\r\n",
    ),
    "many Received": (b"Received: from a by b; now\r\n" * 90 + HEAD, PLAIN),
    "header only": (HEAD + b"List-Id: <talk.lists.test>\r\n", b""),
    "one megabyte": (
        HEAD,
        b"A line of 64 octets, with  two spaces and a tab\t..........\r\n" * 18_000,
    ),
    "SMTPUTF8": (
        HEAD.replace(b"tea", "Grüße, 茶 и чай".encode())
        + "Reply-To: Ölga <ölga@bücher.example>\r\n".encode(),
        "茶\r\n".encode(),
    ),
    "very long lines": (
        HEAD + b"References:" + b" <1@lists.test>" * 600 + b"\r\n",
        b"x y" * 30_000 + b"\r\n",
    ),
    "several of each": (HEAD * 3, PLAIN),
    "other white space": (
        HEAD.replace(b"tea", b"tea\x0b\x0c cake"),
        b"a\x0b \x0c\r\n\x0c \r\n",
    ),
    "bare line ends": (HEAD.replace(b"\r\n", b"\n"), b"a \n b\r\r\n\n"),
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


ALL = (*GUARDED, *SIGNED)


def with_all_fields() -> bytes:
    others = b"".join(
        b"%s: one\r\n" % name.encode()
        for name in ALL
        if b"\n%s:" % name.encode() not in b"\n" + HEAD.lower()
    )
    return signed("ed25519", Parts(HEAD + others, b"", PLAIN))


@pytest.mark.parametrize("name", ALL)
def test_no_signed_field_changes_goes_or_gets_a_second_one(name: str) -> None:
    raw = with_all_fields()
    assert is_good("ed25519", raw)
    lines = raw.split(b"\r\n")
    start = name.encode() + b":"
    (at,) = [n for n, line in enumerate(lines) if line.lower().startswith(start)]
    for spoilt in ([lines[at] + b"x"], [], [start + b" two", lines[at]]):
        changed = [*lines[:at], *spoilt, *lines[at + 1 :]]
        assert not is_good("ed25519", b"\r\n".join(changed)), spoilt


@pytest.mark.parametrize("name", ["from", "reply-to", "to", "cc", "subject"])
def test_what_readers_see_cannot_be_added(name: str) -> None:
    start = name.encode() + b":"
    lines = HEAD.splitlines(keepends=True)
    head = b"".join(line for line in lines if not line.lower().startswith(start))
    raw = signed("ed25519", Parts(head, b"", PLAIN))
    assert is_good("ed25519", raw) or name == "from"
    assert not is_good("ed25519", start + b" nick@evil.test\r\n" + raw)


def test_an_honest_server_may_add_what_is_missing() -> None:
    head = HEAD.partition(b"Date:")[0]
    raw = signed("ed25519", Parts(head, b"", PLAIN))
    added = b"Received: from a by b; now\r\nDate: now\r\nMessage-ID: <2@b.test>\r\n"
    assert is_good("ed25519", added + raw)


def test_changed_or_longer_body_breaks_it() -> None:
    raw = signed("rsa", Parts(HEAD, b"", PLAIN))
    assert not is_good("rsa", raw.replace(b"Hello", b"Hallo"))
    assert not is_good("rsa", raw + b"more\r\n")


def test_copies_that_are_alike_are_signed_once() -> None:
    signer = Signer("lists.test", "folkmoot", pem(KEYS["rsa"]))
    alike = compile_parts(Parts(HEAD, b"", PLAIN), signer, signed_at=1)
    assert alike.sign("aaaa") is alike.sign("bbbb")
    own = b"List-Unsubscribe: <https://lists.test/u/{token}>\r\n"
    for parts in (Parts(HEAD, own, PLAIN), Parts(HEAD, b"", PLAIN, (2,))):
        each = compile_parts(parts, signer, signed_at=1)
        assert each.sign("aaaa") != each.sign("bbbb")


def test_lines_are_short_and_the_signature_is_on_top() -> None:
    raw = signed("rsa", Parts(HEAD, b"", PLAIN))
    assert raw.startswith(b"DKIM-Signature: v=1;")
    assert max(map(len, raw.split(b"\r\n"))) <= 100


def test_key_that_cannot_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        Signer("lists.test", "s", pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match=r"DKIM key of lists\.test: "):
        Signer("lists.test", "s", "no key")
    locked = KEYS["rsa"].private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    with pytest.raises(ValueError, match="encrypted"):
        Signer("lists.test", "s", locked.decode())


def test_damaged_key_is_refused() -> None:
    key = KEYS["rsa"]
    assert isinstance(key, rsa.RSAPrivateKey)
    good = key.private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        p=good.p,
        q=good.q,
        d=good.d + 2,
        dmp1=good.dmp1 + 2,
        dmq1=good.dmq1,
        iqmp=good.iqmp,
        public_numbers=good.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(ValueError, match="do not hold"):
        Signer("lists.test", "s", pem(damaged))
