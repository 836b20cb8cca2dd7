from __future__ import annotations

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_private_key,
)
from django.core.management import CommandError, call_command

from smtpd.domains import actions
from smtpd.domains.actions import Refused
from smtpd.domains.dns import records
from smtpd.models import Domain

pytestmark = pytest.mark.django_db


def test_a_domain_comes_with_a_key() -> None:
    domain = actions.add_domain("Lists.Example.ORG.", "ours")
    assert (domain.name, domain.description) == ("lists.example.org", "ours")
    assert domain.dkim_selector == "folkmoot"
    key = load_pem_private_key(domain.dkim_key.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048


def test_the_key_may_be_ed25519_or_none() -> None:
    key = actions.add_domain("a.test", dkim="ed25519").dkim_key
    assert isinstance(load_pem_private_key(key.encode(), None), Ed25519PrivateKey)
    assert actions.add_domain("b.test", dkim="").dkim_key == ""
    with pytest.raises(Refused, match="not a kind of key"):
        actions.add_domain("c.test", dkim="dsa")


def test_a_name_in_any_script_is_kept_as_its_a_label() -> None:
    assert actions.add_domain("bücher.example", dkim="").name == "xn--bcher-kva.example"
    with pytest.raises(Refused, match="already"):
        actions.add_domain("XN--BCHER-KVA.example", dkim="")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b.test",
        "-a.test",
        "a..test",
        "[192.0.2.1]",
        "a@b.test",
        "x" * 64,
        "a\n.b",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        actions.add_domain(name, dkim="")
    assert not Domain.objects.exists()


def test_a_closed_domain_opens_again() -> None:
    domain = actions.add_domain("a.test", dkim="")
    actions.close_domain(domain)
    assert not Domain.objects.get().is_active
    actions.open_domain(domain)
    assert Domain.objects.get().is_active


def public_octets(line: str) -> bytes:
    """The key in a zone-file line, its strings joined as a resolver does."""
    text = "".join(re.findall(r'"([^"]*)"', line))
    return base64.b64decode(text.rpartition("p=")[2])


def test_records_say_what_to_publish() -> None:
    domain = actions.add_domain("a.test")
    mx, spf, key, dmarc = map(str, records(domain, "mx.b.test"))
    assert mx == "a.test. IN MX 10 mx.b.test."
    assert spf == 'a.test. IN TXT "v=spf1 mx a:mx.b.test -all"'
    assert key.startswith('folkmoot._domainkey.a.test. IN TXT ( "v=DKIM1; k=rsa; p=')
    assert dmarc.startswith('_dmarc.a.test. IN TXT "v=DMARC1; p=none;')
    strings = re.findall(r'"([^"]*)"', key)
    assert len(strings) == 2
    assert all(len(string) <= 255 for string in strings)
    public = load_der_public_key(public_octets(key))
    private = load_pem_private_key(domain.dkim_key.encode(), None)
    assert isinstance(public, RSAPublicKey)
    assert public == private.public_key()


def test_the_ed25519_record_holds_the_bare_key() -> None:
    domain = actions.add_domain("a.test", dkim="ed25519")
    line = str(records(domain, "mx.b.test")[2])
    assert "k=ed25519" in line
    public = Ed25519PublicKey.from_public_bytes(public_octets(line))
    assert public == load_pem_private_key(domain.dkim_key.encode(), None).public_key()


def test_without_a_key_there_is_no_key_record() -> None:
    domain = actions.add_domain("a.test", dkim="")
    assert [r.purpose for r in records(domain, "mx.b.test")][1:] == ["SPF", "DMARC"]


def test_adddomain_and_dnsrecords_from_the_shell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("adddomain", "Shell.test", "--dkim", "none")
    domain = Domain.objects.get()
    assert domain.dkim_key == ""
    roles = domain.addresses.values_list("local_part", flat=True)
    assert sorted(roles) == ["abuse", "postmaster"]
    with pytest.raises(CommandError, match="already"):
        call_command("adddomain", "shell.test")
    capsys.readouterr()
    call_command("dnsrecords", "shell.test")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("shell.test. IN MX 10 ")
    assert len(lines) == 3
    with pytest.raises(CommandError, match="not a domain of this site"):
        call_command("dnsrecords", "other.test")
