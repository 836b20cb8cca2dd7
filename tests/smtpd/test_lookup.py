"""VRFY and EXPN: who may know what (RFC 5321 3.5)."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from aliases import actions as aliases
from aliases.moving.actions import create_moved
from lists.models import Subscriber, Subscription
from lists.subscriptions.actions import join
from project.models import User
from smtpd import lookup, replies
from smtpd.entries import Entry
from smtpd.models import Domain
from smtpd.replies import Reply
from tests.aliases.makers import NICK, OLGA, SAM, make_admin, make_domain, make_list

pytestmark = pytest.mark.django_db

MORI = "mori@people.test"


@pytest.fixture(autouse=True)
def domain() -> Domain:
    return make_domain()


@pytest.fixture
def admin(domain: Domain) -> User:
    """Runs lists.test, and nothing else."""
    user = User.objects.create_user("ada@people.test", name="Ada")
    domain.admins.add(user)
    return user


@pytest.fixture
def owner() -> User:
    """Owns a list, and runs no domain."""
    make_list("talk@lists.test", SAM)
    return User.objects.create_user(OLGA)


def lines(reply: Reply) -> list[str]:
    """The wire form, a line each."""
    return bytes(reply).decode().splitlines()


# --- VRFY ---------------------------------------------------------------------


@pytest.mark.parametrize("text", ["sam@lists.test", "nobody@lists.test", "sam", "@"])
def test_strangers_and_owners_of_lists_learn_nothing(owner: User, text: str) -> None:
    aliases.create("sam@lists.test", [SAM])
    nick = User.objects.create_user(NICK)
    for user in (None, nick, owner):
        assert lookup.verify(text, user) == replies.CANNOT_VRFY


def test_a_user_is_named_in_full(admin: User) -> None:
    User.objects.create_user(SAM, name="Sam Whitlock")
    aliases.create("sam@lists.test", [SAM], "A note")
    aliases.create("team@lists.test", [SAM, OLGA], "The team")
    aliases.create("bare@lists.test", [OLGA])
    for text in ("sam@lists.test", "<SAM@lists.test>", "sam", "SAM", "whitlock"):
        reply = lookup.verify(text, admin)
        assert str(reply) == "250 2.1.5 Sam Whitlock <sam@lists.test>"
    team = lookup.verify("team@lists.test", admin)
    assert str(team) == "250 2.1.5 The team <team@lists.test>"
    assert str(lookup.verify("bare", admin)) == "250 2.1.5 <bare@lists.test>"


def test_what_rcpt_would_refuse_is_not_verified(admin: User) -> None:
    off = aliases.create("off@lists.test", [SAM])
    aliases.disable(off)
    aliases.create("hollow@lists.test", ["off@lists.test"])
    for text, reply in (
        ("nobody@lists.test", replies.NO_SUCH_USER),
        ("nobody", replies.NO_SUCH_USER),
        ("", replies.NO_SUCH_USER),
        ("off@lists.test", replies.DISABLED),
        ("hollow@lists.test", replies.LEADS_NOWHERE),
        ("bounces+forged@lists.test", replies.BAD_TOKEN),
        ("sam@@lists.test", replies.BAD_RECIPIENT),
    ):
        assert lookup.verify(text, admin) == reply, text


def test_what_has_no_row_and_takes_mail_is_verified(admin: User) -> None:
    make_list("talk@lists.test")
    Domain.objects.create(name="bare.test").admins.add(admin)
    for mailbox in ("talk-owner@lists.test", "postmaster@bare.test"):
        reply = lookup.verify(mailbox, admin)
        assert str(reply) == f"250 2.1.5 <{mailbox}>"


def test_a_list_is_not_a_user(admin: User) -> None:
    make_list("talk@lists.test")
    for text in ("talk@lists.test", "talk"):
        assert lookup.verify(text, admin) == replies.LIST_NOT_USER
        assert lookup.verify(text, admin).code == 550


@pytest.mark.parametrize("is_disclosing", [True, False])
@pytest.mark.parametrize(
    ("way", "code"), [("forward", 251), ("tell", 251), ("refer", 551), ("refuse", 551)]
)
def test_who_runs_the_domain_is_told_where_somebody_moved(
    settings: Settings, admin: User, *, is_disclosing: bool, way: str, code: int
) -> None:
    settings.MOVED_DISCLOSE = is_disclosing
    create_moved("nick@lists.test", NICK, way)
    reply = lookup.verify("nick@lists.test", admin)
    assert reply.code == code
    assert f"<{NICK}>" in reply.text
    assert lookup.verify("nick@lists.test", None) == replies.CANNOT_VRFY


def test_an_expired_moved_address_is_expired(admin: User) -> None:
    moved = create_moved("nick@lists.test", NICK)
    aliases.disable(moved)
    assert lookup.verify("nick", admin) == replies.DISABLED


def test_several_hits_are_ambiguous_and_listed(admin: User) -> None:
    make_domain("other.test").admins.add(admin)
    make_domain("foreign.test")
    for host in ("lists", "other", "foreign"):
        aliases.create(f"sam@{host}.test", [SAM], f"Sam of {host}")
    assert lines(lookup.verify("sam", admin)) == [
        "553-5.1.4 Ambiguous; possibilities are",
        "553-5.1.4 Sam of lists <sam@lists.test>",
        "553 5.1.4 Sam of other <sam@other.test>",
    ]
    by_name = lookup.verify('"Sam of"', admin)
    assert by_name.code == 553
    assert "foreign" not in by_name.text


def test_too_many_hits_are_cut(admin: User) -> None:
    for number in range(lookup.MAX_POSSIBILITIES + 1):
        aliases.create(f"a{number}@lists.test", [SAM], "Smith")
    said = lines(lookup.verify("smith", admin))
    assert len(said) == lookup.MAX_POSSIBILITIES + 2
    assert said[-1] == "553 5.1.4 and more"


def test_a_team_is_not_found_by_the_name_of_one(admin: User) -> None:
    User.objects.create_user(SAM, name="Sam Whitlock")
    aliases.create("team@lists.test", [SAM, OLGA])
    assert lookup.verify("whitlock", admin) == replies.NO_SUCH_USER


@pytest.mark.parametrize("mailbox", ["sam@foreign.test", "sam@elsewhere.test"])
def test_domains_of_others_are_not_verified(admin: User, mailbox: str) -> None:
    make_domain("foreign.test")
    aliases.create("sam@foreign.test", [SAM])
    assert lookup.verify(mailbox, admin) == replies.CANNOT_VRFY


def test_what_does_not_fit_into_ascii_is_not_said(admin: User) -> None:
    aliases.create("sämi@lists.test", [SAM])
    create_moved("nick@lists.test", "nïck@people.test")
    for text in ("sämi@lists.test", "sämi", "nick"):
        assert lookup.verify(text, admin) == replies.NEEDS_UTF8


# --- EXPN ---------------------------------------------------------------------


def test_who_may_expand_anything(admin: User, owner: User) -> None:
    assert lookup.may_expand(admin)
    assert lookup.may_expand(owner)
    assert lookup.may_expand(make_admin())
    for user in (None, User.objects.create_user(NICK), User.objects.create_user(SAM)):
        assert not lookup.may_expand(user)
        assert lookup.expand("talk@lists.test", user) == replies.NOT_IMPLEMENTED


@pytest.mark.parametrize("text", ["talk@lists.test", "TALK@Lists.test", "talk"])
def test_the_members_one_a_line(owner: User, text: str) -> None:
    Subscriber.objects.filter(folded=SAM).update(name="Sam Whitlock")
    Subscription.objects.filter(subscriber__folded=SAM).update(suspended_by="bounces")
    assert lines(lookup.expand(text, owner)) == [
        f"250-2.1.5 <{OLGA}>",
        f"250 2.1.5 Sam Whitlock <{SAM}>",
    ]


def test_an_alias_names_its_targets(admin: User) -> None:
    make_list("talk@lists.test")
    User.objects.create_user(SAM, name="Sam")
    aliases.create("team@lists.test", [SAM, "talk@lists.test"])
    assert lines(lookup.expand("team", admin)) == [
        f"250-2.1.5 Sam <{SAM}>",
        "250 2.1.5 <talk@lists.test>",
    ]
    assert "<ada@people.test>" in lookup.expand("abuse@lists.test", admin).text


def test_what_is_not_theirs_says_the_same_whether_it_exists(
    owner: User, admin: User
) -> None:
    make_domain("foreign.test")
    make_list("secret@foreign.test", SAM)
    make_list("other@lists.test")
    Subscription.objects.filter(
        mailing_list__address__local_part__in=("secret", "other"),
    ).delete()
    for user in (owner, admin):
        for name in ("secret", "nothing"):
            denied = lookup.expand(f"{name}@foreign.test", user)
            assert (denied.code, denied.enhanced) == (550, "5.7.2")
            assert lookup.expand(name, user) == replies.NO_SUCH_LIST
    assert lookup.expand("other@lists.test", owner) == replies.EXPN_DENIED
    assert lookup.expand("elsewhere@people.test", owner) == replies.EXPN_DENIED


def test_a_user_is_not_a_list(admin: User) -> None:
    create_moved("nick@lists.test", NICK)
    make_list("talk@lists.test")
    for text in ("nick@lists.test", "nick", "talk-owner@lists.test"):
        assert lookup.expand(text, admin) == replies.USER_NOT_LIST
    assert lookup.expand("nobody@lists.test", admin) == replies.NO_SUCH_LIST
    assert lookup.expand("nobody@", admin) == replies.BAD_RECIPIENT


def test_the_same_name_in_two_domains_is_ambiguous(admin: User) -> None:
    make_domain("other.test").admins.add(admin)
    make_list("talk@lists.test")
    make_list("talk@other.test")
    assert lines(lookup.expand("talk", admin)) == [
        "553-5.1.4 Ambiguous; possibilities are",
        "553-5.1.4 Talk <talk@lists.test>",
        "553 5.1.4 Talk <talk@other.test>",
    ]


def test_an_empty_list_says_so(admin: User) -> None:
    make_list("talk@lists.test")
    Subscription.objects.all().delete()
    assert str(lookup.expand("talk", admin)) == "250 2.1.5 Nobody is on it"


def test_a_large_list_is_cut_and_counted(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlist = make_list("talk@lists.test", *(f"p{n}@people.test" for n in range(5)))
    join(mlist, "müller@people.test")
    monkeypatch.setattr(lookup, "MAX_LINES", 3)
    said = lines(lookup.expand("talk", admin))
    assert len(said) == 3, "the third is not ASCII"
    assert said[-1].startswith("250 2.1.5 and 5 more")


def test_every_line_fits_whatever_the_names(admin: User) -> None:
    mlist = make_list("talk@lists.test")
    long = f"{'x' * 60}@{'.'.join(['y' * 60] * 3)}"
    join(mlist, long)
    Subscriber.objects.update(name="Ø" + "Long name " * 9)
    reply = bytes(lookup.expand("talk", admin))
    assert all(len(line) < 511 for line in reply.split(b"\r\n"))
    assert reply.count(b"@") == len(reply.splitlines())


# --- how people are named -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "<a@b.test>"),
        ("Ada", "Ada <a@b.test>"),
        ("Paula Jiménez", "Paula Jimenez <a@b.test>"),
        ("李", "<a@b.test>"),
        (
            "x\r\n250 2.1.5 Boss <boss@b.test>",
            "x 250 2.1.5 Boss boss b.test <a@b.test>",
        ),
    ],
)
def test_a_name_cannot_pose_as_a_mailbox_or_a_line(name: str, said: str) -> None:
    assert str(Entry("a@b.test", name)) == said
