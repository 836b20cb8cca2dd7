"""What a sender asks to hear, and how addresses look in a report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd import dsn
from smtpd.dsn import Action, Wish

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)


@given(PRINTABLE)
def test_xtext_reads_back(text: str) -> None:
    xtext = dsn.encode(text)
    assert dsn.is_xtext(xtext)
    assert dsn.decode(xtext) == text


@given(st.text(max_size=40))
def test_what_is_decoded_has_no_control_characters(value: str) -> None:
    if dsn.is_orcpt(value, utf8=True):
        assert all(part.isprintable() or " " in part for part in dsn.original(value))
    assert dsn.decode(value).isprintable()


@pytest.mark.parametrize(
    ("orcpt", "found"),
    [
        ("rfc822;sam+2Btag@x.test", ("rfc822", "sam+tag@x.test")),
        ("utf-8;s\\x{E4}m@x.test", ("utf-8", "säm@x.test")),
        ("utf-8;säm@x.test", ("utf-8", "säm@x.test")),
        ("", ("", "")),
    ],
)
def test_original_recipient(orcpt: str, found: tuple[str, str]) -> None:
    assert dsn.original(orcpt) == found


def test_orcpt_is_made_for_who_gave_none() -> None:
    for mailbox in ("sam+tag@x.test", "säm@x.test", '"a b"@x.test'):
        orcpt = dsn.orcpt_of(mailbox)
        assert dsn.is_orcpt(orcpt, utf8=False)
        assert dsn.original(orcpt)[1] == mailbox


def test_an_address_outside_ascii_can_be_told_in_ascii() -> None:
    assert dsn.typed("sam@x.test", utf8=False) == "rfc822; sam@x.test"
    assert dsn.typed("säm@x.test", utf8=True) == "utf-8; säm@x.test"
    assert dsn.typed("säm@x.test", utf8=False) == "utf-8; s\\x{E4}m@x.test"
    assert dsn.ascii_orcpt("utf-8;säm@x.test") == "utf-8;s\\x{E4}m@x.test"
    assert dsn.ascii_orcpt("rfc822;a+2Bb") == "rfc822;a+2Bb"


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ("", {"failed"}),
        ("NEVER", set()),
        ("FAILURE", {"failed"}),
        ("DELAY", {"delayed"}),
        ("SUCCESS", {"delivered", "relayed", "expanded"}),
        ("SUCCESS,FAILURE", {"delivered", "relayed", "expanded", "failed"}),
    ],
)
def test_which_reports_are_allowed(notify: str, told: set[str]) -> None:
    assert {str(action) for action in Action if Wish(notify).allows(action)} == told


@pytest.mark.parametrize(
    ("notify", "rest"),
    [
        ("", ""),
        ("NEVER", "NEVER"),
        ("FAILURE,DELAY", "FAILURE,DELAY"),
        ("SUCCESS,DELAY", "DELAY"),
        ("SUCCESS", "NEVER"),
    ],
)
def test_success_that_was_told_is_not_asked_for_again(notify: str, rest: str) -> None:
    assert Wish(notify, "rfc822;a").without_success() == Wish(rest, "rfc822;a")
