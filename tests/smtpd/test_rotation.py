"""A new signing key: made, published, put to use; the old one kept and deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from smtpd.domains import actions
from smtpd.domains.actions import Refused, State
from smtpd.domains.age import age
from smtpd.domains.dns import public_key, records
from smtpd.domains.published import State as Found
from smtpd.domains.published import judge, look
from smtpd.models import Domain, SigningKey
from tests.at_once import at_once
from tests.dns import SILENCE, Dns

pytestmark = pytest.mark.django_db
NAME = "next._domainkey.a.test"


@pytest.fixture
def domain() -> Domain:
    return actions.add_domain("a.test")


def publish(dns: Dns, key: SigningKey) -> None:
    """As a zone file has it: strings of at most 255 octets."""
    value = key.record
    strings = [value[at : at + 255] for at in range(0, len(value), 255)]
    dns.add(str(key), "TXT", " ".join(f'"{string}"' for string in strings))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_published_key_takes_over(domain: Domain, dns: Dns, kind: str) -> None:
    old_pem, old_made_at = domain.dkim_key, domain.dkim_made_at
    key = actions.make_next_key(domain, kind, "next")
    domain.refresh_from_db()
    assert (domain.dkim_selector, domain.dkim_key) == ("folkmoot", old_pem)
    publish(dns, key)
    former = actions.switch_key(domain)
    domain.refresh_from_db()
    assert (domain.dkim_selector, domain.dkim_key) == ("next", key.pem)
    assert domain.dkim_made_at == key.made_at
    assert former is not None
    former.refresh_from_db()
    assert former.selector == "folkmoot"
    assert (former.state, former.pem) == (State.FORMER, "")
    assert former.public == public_key(old_pem)
    assert former.made_at == old_made_at
    assert domain.signing_keys.count() == 1


def test_nothing_is_switched_before_dns_has_it(domain: Domain, dns: Dns) -> None:
    key = actions.make_next_key(domain, "ed25519", "next")
    with pytest.raises(Refused, match="DNS has no record"):
        actions.switch_key(domain)
    dns.add(NAME, "TXT", f'"{public_key(domain.dkim_key)[:200]}"')
    with pytest.raises(Refused, match="another key"):
        actions.switch_key(domain)
    dns.fail(NAME, "SERVFAIL")
    with pytest.raises(Refused, match="does not answer"):
        actions.switch_key(domain)
    domain.refresh_from_db()
    assert domain.dkim_selector == "folkmoot"
    actions.switch_key(domain, force=True)
    domain.refresh_from_db()
    assert domain.dkim_key == key.pem


def test_the_second_to_switch_is_told(domain: Domain, dns: Dns) -> None:
    publish(dns, actions.make_next_key(domain))
    actions.switch_key(domain)
    with pytest.raises(Refused, match="no next key"):
        actions.switch_key(domain)
    assert domain.signing_keys.get().selector == "folkmoot"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_switch_at_once_one_does(domain: Domain, dns: Dns) -> None:
    publish(dns, actions.make_next_key(domain, "ed25519", "next"))

    def switch(_: int) -> bool:
        try:
            actions.switch_key(Domain.objects.get())
        except Refused:
            return False
        return True

    assert at_once(switch).count(True) == 1
    domain.refresh_from_db()
    assert domain.dkim_selector == "next"
    assert domain.signing_keys.get().selector == "folkmoot"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_make_a_key_at_once_one_does(domain: Domain) -> None:
    def make(_: int) -> bool:
        try:
            actions.make_next_key(Domain.objects.get(), "ed25519")
        except Refused:
            return False
        return True

    assert at_once(make).count(True) == 1
    assert domain.signing_keys.get().pem


def test_there_is_one_next_key(domain: Domain) -> None:
    first = actions.make_next_key(domain, "ed25519")
    with pytest.raises(Refused, match="a next key already"):
        actions.make_next_key(domain, "ed25519")
    assert actions.drop_next_key(domain)
    assert not actions.drop_next_key(domain)
    first.refresh_from_db()
    assert first.pem == ""
    assert actions.make_next_key(domain, "ed25519").selector != first.selector


def test_no_selector_names_two_keys(domain: Domain, dns: Dns) -> None:
    publish(dns, actions.make_next_key(domain, "ed25519", "next"))
    actions.switch_key(domain)
    SigningKey.objects.update(stopped_at=timezone.now() - timedelta(days=8))
    actions.forget_key(domain, "folkmoot")
    domain.refresh_from_db()
    for taken in ("next", "NEXT", "folkmoot"):
        with pytest.raises(Refused, match="another key"):
            actions.make_next_key(domain, "ed25519", taken)
    for bad in ("a b", "x" * 64, "-a", "a..b"):
        with pytest.raises(Refused):
            actions.make_next_key(domain, "ed25519", bad)
    assert actions.make_next_key(domain, "ed25519", "20261129").pem


def test_a_selector_fits_into_a_name_of_dns() -> None:
    domain = actions.add_domain(".".join(["x" * 57] * 4), dkim="")
    with pytest.raises(Refused, match="at most 10 characters"):
        actions.make_next_key(domain, "ed25519", "x" * 11)
    assert actions.make_next_key(domain, "ed25519", "x" * 10).pem


def test_a_selector_is_taken_whatever_the_caller_last_read(domain: Domain) -> None:
    first = actions.make_next_key(domain, "ed25519")
    actions.switch_key(domain, force=True)
    assert domain.dkim_selector == "folkmoot"
    assert actions.make_next_key(domain, "ed25519").selector != first.selector


def test_a_former_record_stays_for_a_week(domain: Domain, dns: Dns) -> None:
    publish(dns, actions.make_next_key(domain, "ed25519"))
    former = actions.switch_key(domain)
    assert former is not None
    assert former in domain.signing_keys.in_dns()
    with pytest.raises(Refused, match="on the way until"):
        actions.forget_key(domain, "folkmoot")
    SigningKey.objects.update(stopped_at=timezone.now() - timedelta(days=7, minutes=16))
    assert former not in domain.signing_keys.in_dns()
    actions.forget_key(domain, "folkmoot")
    assert not domain.signing_keys.remembered().exists()
    with pytest.raises(Refused, match="no former key"):
        actions.forget_key(domain, "folkmoot")


def test_a_revoked_key_gets_an_empty_record(domain: Domain, dns: Dns) -> None:
    with pytest.raises(Refused, match="in use"):
        actions.revoke_key(domain, "folkmoot")
    actions.make_next_key(domain, "ed25519")
    actions.switch_key(domain, force=True)
    domain.refresh_from_db()
    key = actions.revoke_key(domain, "folkmoot")
    assert key.record == "v=DKIM1; p="
    assert look(str(key), key.record).state == Found.MISSING
    dns.add(str(key), "TXT", f'"{key.public[:250]}"')
    assert look(str(key), key.record).state == Found.WRONG
    publish(dns, key)
    assert look(str(key), key.record).is_right
    actions.forget_key(domain, "folkmoot")


def test_all_their_records_are_to_be_published(domain: Domain) -> None:
    actions.make_next_key(domain, "ed25519", "second")
    actions.switch_key(domain, force=True)
    domain.refresh_from_db()
    actions.make_next_key(domain, "rsa", "third")
    found = records(domain, "mx.test", domain.signing_keys.in_dns())
    dkim = {
        record.owner: record.purpose for record in found if "DKIM" in record.purpose
    }
    assert dkim == {
        "second._domainkey.a.test.": "DKIM",
        "folkmoot._domainkey.a.test.": "DKIM, former key",
        "third._domainkey.a.test.": "DKIM, next key",
    }


def test_an_unsigned_domain_gets_its_first_key(dns: Dns) -> None:
    domain = actions.add_domain("a.test", dkim="")
    key = actions.make_next_key(domain)
    publish(dns, key)
    assert actions.switch_key(domain) is None
    domain.refresh_from_db()
    assert domain.dkim_key == key.pem


def test_only_a_next_key_keeps_its_private_half(domain: Domain) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        domain.signing_keys.create(
            selector="x", pem="secret", public="", state=State.FORMER
        )


RECORD = "v=DKIM1; k=rsa; p=QUJD"


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([b"v=DKIM1; k=rsa; p=QUJD"], Found.RIGHT),
        ([b"p=QUJD"], Found.RIGHT),
        ([b" v = DKIM1 ;p=QU\tJ D ; t=s;"], Found.RIGHT),
        ([b"v=DKIM1; h=sha1:sha256; s=email; p=QUJD"], Found.RIGHT),
        ([b"v=DKIM1; s=*; p=QUJD; n=caf\xe9"], Found.RIGHT),
        ([], Found.MISSING),
        ([b"v=DKIM1; k=rsa; p=QUJD", b"v=DKIM1; k=rsa; p=QUJD"], Found.WRONG),
        ([b"v=DKIM1; k=ed25519; p=QUJD"], Found.WRONG),
        ([b"v=DKIM1; p=QUJE"], Found.WRONG),
        ([b"v=DKIM1; p="], Found.WRONG),
        ([b"v=DKIM1; h=sha1; p=QUJD"], Found.WRONG),
        ([b"v=DKIM1; s=tlsrpt; p=QUJD"], Found.WRONG),
        ([b"v=DKIM2; p=QUJD"], Found.WRONG),
        ([b"hello"], Found.WRONG),
    ],
)
def test_what_dns_may_say(found: list[bytes], state: Found) -> None:
    assert judge("x", found, RECORD).state == state


def test_silence_is_not_an_answer(dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpd.domains.published._PATIENCE", 0.2)
    dns.fail(NAME, SILENCE)
    assert look(NAME, RECORD).state == Found.SILENT


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "made today"),
        (1, "1 day old"),
        (60, "60 days old"),
        (61, "2 months old"),
        (427, "14 months old"),
        (1000, "2 years old"),
    ],
)
def test_age(days: int, text: str) -> None:
    now = timezone.now()
    assert age(now - timedelta(days=days, minutes=1), now) == text


def test_from_the_shell(
    domain: Domain, dns: Dns, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("dkim", "a.test", make="ed25519", selector="next")
    line = capsys.readouterr().out
    assert line.startswith('next._domainkey.a.test. IN TXT "v=DKIM1; k=ed25519; p=')
    call_command("dkim", "a.test")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("folkmoot active, made today. DNS has no record")
    assert shown[1].startswith("next next, made today. DNS has no record")
    with pytest.raises(CommandError, match="Still signed with the old key"):
        call_command("dkim", "a.test", switch=True)
    publish(dns, domain.signing_keys.get())
    call_command("dkim", "a.test", switch=True)
    with pytest.raises(CommandError, match="on the way"):
        call_command("dkim", "a.test", forget="folkmoot")
    capsys.readouterr()
    call_command("dnsrecords", "a.test")
    assert "folkmoot._domainkey.a.test. IN TXT" in capsys.readouterr().out
    call_command("dkim", "a.test", revoke="folkmoot")
    assert capsys.readouterr().out == (
        'folkmoot._domainkey.a.test. IN TXT "v=DKIM1; p="\n'
    )
    call_command("dkim", "a.test", forget="folkmoot")
    call_command("dkim", "a.test", drop=True)
    assert capsys.readouterr().out == "forgotten\nthere was no next key\n"
    with pytest.raises(CommandError, match="not a domain of this site"):
        call_command("dkim", "b.test")
