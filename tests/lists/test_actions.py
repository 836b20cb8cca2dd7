"""Founding, changing, closing and deleting lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from lists.actions import close_list, create_list, delete_list, reopen_list, update_list
from lists.models import MailingList, Post, Subscription
from smtpd.models import Address, Delivery, Domain, Message
from tests.lists.posts import (
    MORI,
    NICK,
    OLGA,
    SAM,
    make_mail,
    make_people,
    post_to,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def domain() -> Domain:
    return Domain.objects.create(name="lists.test")


def test_a_list_is_founded_with_its_owner() -> None:
    mlist = create_list("Chess@Lists.TEST", "Chess club", owner=OLGA, posters="owners")
    assert mlist.posting_address == "chess@lists.test"
    assert MailingList.objects.get().posters == MailingList.Posters.OWNERS
    owner = Subscription.objects.owners().get()
    assert owner.subscriber.address == OLGA


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("chess@other.test", "not a domain of this site"),
        ("chess", "an @"),
        ("@lists.test", "letters, digits"),
        ("che ss@lists.test", "letters, digits"),
        ("chess+tag@lists.test", "letters, digits"),
        ("chess-@lists.test", "letters, digits"),
        (".chess@lists.test", "letters, digits"),
        ("a..b@lists.test", "letters, digits"),
        ("ch\u200bss@lists.test", "letters, digits"),
        ("ch\u2460ß!@lists.test", "letters, digits"),
        ("ß" * 30 + "@lists.test", "at most"),
        ("chess\n@lists.test", "letters, digits"),
        ("x" * 60 + "@lists.test", "at most"),
        ("postmaster@lists.test", "reserved"),
        ("bounces@lists.test", "reserved"),
        ("chess-owner@lists.test", "reserved"),
        ("chess-Request@lists.test", "reserved"),
    ],
)
def test_an_address_that_is_no_lists_is_refused(address: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        create_list(address, "Chess")
    assert not Address.objects.exists()


def test_a_name_may_have_letters_of_every_script() -> None:
    mlist = create_list("Grüße@lists.test", "Chess")
    assert mlist.posting_address == "grüße@lists.test"
    # RFC 2919 3 knows no UTF-8.
    assert mlist.list_id == "xn--gre-6ka8l.lists.test"


@pytest.mark.parametrize("taken", ["chess", "chess-owner", "chess-join"])
def test_a_taken_address_is_named(domain: Domain, taken: str) -> None:
    Address.objects.create(domain=domain, local_part=taken, kind=Address.Kind.ALIAS)
    with pytest.raises(ValidationError, match=f"{taken}@lists.test is taken"):
        create_list("chess@lists.test", "Chess")


@pytest.mark.parametrize(
    "settings",
    [
        {"nonsense": "1"},
        {"created_at": "2026-01-01"},
        {"posters": "everybody"},
        {"max_size": "many"},
        {"subject_prefix": "[a]\r\nBcc: x"},
        {"owner": "not an address"},
    ],
)
def test_a_wrong_setting_founds_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create_list("chess@lists.test", "Chess", **settings)
    assert not MailingList.objects.exists()
    assert not Address.objects.exists()


def test_a_name_of_two_lines_is_refused() -> None:
    with pytest.raises(ValidationError):
        create_list("chess@lists.test", "Chess\r\nBcc: x@y.test")


def test_settings_change_together_or_not_at_all() -> None:
    mlist = create_list("chess@lists.test", "Chess")
    update_list(mlist, name="Chess club", footer="Two\nlines", is_public="False")
    mlist = MailingList.objects.get()
    assert (mlist.name, mlist.footer, mlist.is_public) == (
        "Chess club",
        "Two\nlines",
        False,
    )
    with pytest.raises(ValidationError):
        update_list(mlist, name="Go", max_size="many")
    assert MailingList.objects.get().name == "Chess club"


def test_a_closed_list_keeps_everything() -> None:
    mlist = create_list("talk@lists.test", "Talk")
    make_people(mlist)
    post_to(mlist, make_mail())
    close_list(mlist)
    assert not Address.objects.get().is_open
    assert (mlist.posts.count(), mlist.subscriptions.count()) == (1, 3)
    reopen_list(mlist)
    assert Address.objects.get().is_open


def test_a_deleted_list_leaves_its_messages_to_be_traced() -> None:
    mlist = create_list("talk@lists.test", "Talk")
    make_people(mlist)
    post_to(mlist, make_mail())
    delete_list(mlist)
    assert not MailingList.objects.exists()
    assert Message.objects.count() == 1
    create_list("talk@lists.test", "Talk again")


def test_what_a_deleted_list_has_accepted_still_goes_to_all_on_it() -> None:
    """Also when no worker has made copies of it yet."""
    mlist = create_list("talk@lists.test", "Talk")
    make_people(mlist)
    post = post_to(mlist, make_mail())
    assert post.fanned_out_at is None
    delete_list(mlist)
    rows = Delivery.objects.filter(outgoing__message=post.message, state="queued")
    assert set(rows.values_list("address", flat=True)) == {OLGA, MORI, SAM}


def test_what_a_deleted_list_has_held_goes_to_nobody_and_the_trace_says_so() -> None:
    mlist = create_list("talk@lists.test", "Talk", owner=OLGA)
    held = post_to(mlist, make_mail(author=NICK), reverse_path=NICK)
    assert held.state == Post.State.HELD
    delete_list(mlist)
    assert not Delivery.objects.filter(outgoing__message=held.message).exists()
    event = held.message.events.get(kind="cancelled")
    assert event.text.startswith("Talk was deleted before a moderator had decided")


def test_addlist_founds_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    call_command(
        "addlist", "chess@lists.test", "--owner", SAM, "--name", "Chess",
        "--set", "is_public=no", "--set", "subject_prefix=[chess]=",
    )  # fmt: skip
    mlist = MailingList.objects.get()
    assert (mlist.is_public, mlist.subject_prefix) == (False, "[chess]=")
    assert "chess@lists.test" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("chess@nowhere.test",), "not a domain"),
        (("chess@lists.test", "--set", "posters=all"), "posters"),
        (("chess@lists.test", "--set", "posters"), "K=V"),
        (("chess@lists.test", "--set", "owner=x"), "K=V"),
        (("chess@lists.test", "--owner", "x"), "an @"),
    ],
)
def test_addlist_says_what_is_wrong(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("addlist", *arguments)
