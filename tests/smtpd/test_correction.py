"""The four ways of RFC 5321 3.4, and whose choice holds."""

from __future__ import annotations

import pytest

from smtpd import correction, replies
from smtpd.correction import Correction, decide, new_address
from smtpd.models import Address, Domain

NEW = "sam@new.test"
OLD = "sam@old.test"


@pytest.mark.parametrize(
    ("address", "domain", "level", "chosen"),
    [
        ("", "", "site", "forward"),
        ("", "refuse", "domain", "refuse"),
        ("tell", "refuse", "address", "tell"),
        ("forward", "refer", "address", "forward"),
    ],
)
def test_the_nearest_choice_stands(
    address: str, domain: str, level: str, chosen: str
) -> None:
    found = decide(address, domain, "forward", may_disclose=True)
    assert (found.level, found.correction, found.is_muted) == (level, chosen, False)


@pytest.mark.parametrize(
    ("chosen", "silent"),
    [
        ("forward", "forward"),
        ("tell", "forward"),
        ("refer", "refuse"),
        ("refuse", "refuse"),
    ],
)
@pytest.mark.parametrize("level", ["address", "domain", "site"])
def test_the_sites_switch_is_above_every_choice(
    level: str, chosen: str, silent: str
) -> None:
    choices = {"address": "", "domain": "", "site": "forward", level: chosen}
    found = decide(**choices, may_disclose=False)
    assert found.correction == silent
    assert found.is_muted == (chosen != silent)
    assert ("this site tells none" in str(found)) == found.is_muted


def test_nothing_is_told_by_default() -> None:
    found = Address(kind="moved", moved_to=NEW, domain=Domain()).decision
    assert found.correction == Correction.FORWARD
    told = Address(moved_to=NEW, correction="tell", domain=Domain()).decision
    assert told.correction == Correction.FORWARD


@pytest.mark.parametrize(
    ("way", "codes"),
    [
        (Correction.FORWARD, "250 2.1.5"),
        (Correction.TELL, "251 2.1.5"),
        (Correction.REFER, "551 5.1.6"),
        (Correction.REFUSE, "550 5.1.6"),
    ],
)
def test_each_way_has_its_reply(way: Correction, codes: str) -> None:
    said = str(correction.reply(way, NEW))
    assert said.startswith(codes)
    assert (f"<{NEW}>" in said) == way.discloses


@pytest.mark.parametrize("way", Correction)
def test_an_address_that_is_not_ascii_is_not_told(way: Correction) -> None:
    reply = correction.reply(way, "sämi@new.test")
    assert reply == correction.reply(way.silent, NEW)
    assert reply.is_positive == way.forwards


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (f"551 5.1.6 User not local; please try <{NEW}>", NEW),
        (f"551 User not local; please try <{NEW}>", NEW),
        (f"550 5.1.6 <{OLD}>: this person has moved; new address: {NEW}.", NEW),
        (f"5.1.6 now at {NEW}", NEW),
        ("551 5.7.1 we do not relay, write to postmaster@old.test", ""),
        (f"550 5.1.1 <{OLD}> unknown; ask <postmaster@old.test>", ""),
        (f"250 5.1.6 <{NEW}>", ""),
        (f"450 5515.1.6 <{NEW}>", ""),
        ("551 5.1.6 moved, left no address", ""),
        ("", ""),
    ],
)
def test_a_refusal_is_read_for_the_new_address(said: str, found: str) -> None:
    assert new_address(said, OLD) == found


def test_our_own_refusal_is_understood_by_us() -> None:
    assert new_address(str(replies.MOVED_TO.fill(mailbox=NEW)), OLD) == NEW
    assert new_address(str(replies.MOVED), OLD) == ""
