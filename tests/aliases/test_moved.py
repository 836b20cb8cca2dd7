"""Mail to an address that has moved (RFC 5321 3.4)."""

from __future__ import annotations

from datetime import date, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError
from django.utils import timezone
from pytest_django.fixtures import Settings

from aliases import actions
from aliases.actions import Refused
from aliases.models import Alias
from aliases.moving.actions import create_moved, move, move_back
from smtpd import replies
from smtpd.models import Address, Domain, Message, Outgoing
from smtpd.replies import Reply
from smtpd.routing import Route, explain
from tests.aliases.makers import (
    MAIL,
    NICK,
    OLGA,
    SAM,
    copy_of,
    make_domain,
    make_list,
    resolve,
    send,
    sent_to,
)

pytestmark = pytest.mark.django_db

OLD = "sam@lists.test"


@pytest.fixture(autouse=True)
def domain() -> Domain:
    return make_domain()


@pytest.fixture
def disclosing(settings: Settings) -> None:
    settings.MOVED_DISCLOSE = True


def rcpt(mailbox: str = OLD) -> Reply:
    """What the sender's server hears."""
    found = resolve(mailbox)
    return found if isinstance(found, Reply) else found.reply


def test_mail_is_forwarded_silently_by_default() -> None:
    create_moved(OLD, SAM)
    assert rcpt() == replies.RCPT_OK
    assert send(OLD).is_positive
    assert sent_to() == [SAM]
    outgoing = Outgoing.objects.get()
    assert outgoing.reverse_path == NICK
    trace = bytes(Message.objects.get().trace)
    expected = trace + b"Delivered-To: sam@lists.test\r\n" + MAIL
    assert copy_of(Message.objects.get()) == expected


@pytest.mark.usefixtures("disclosing")
@pytest.mark.parametrize(
    ("way", "codes", "reaches"),
    [
        ("forward", (250, "2.1.5"), [SAM]),
        ("tell", (251, "2.1.5"), [SAM]),
        ("refer", (551, "5.1.6"), []),
        ("refuse", (550, "5.1.6"), []),
    ],
)
def test_each_way_answers_and_delivers(
    way: str, codes: tuple[int, str], reaches: list[str]
) -> None:
    create_moved(OLD, SAM, way)
    for mailbox in (OLD, "SAM+tag@Lists.test"):
        reply = rcpt(mailbox)
        assert (reply.code, reply.enhanced) == codes
        assert (SAM in reply.text) == (way in ("tell", "refer"))
    send(OLD)
    assert sent_to() == reaches


@pytest.mark.parametrize("way", ["tell", "refer"])
def test_the_sites_switch_keeps_a_new_address_private(domain: Domain, way: str) -> None:
    create_moved(OLD, SAM, way)
    assert SAM not in str(rcpt())
    assert rcpt().is_positive == (way == "tell")


@pytest.mark.usefixtures("disclosing")
def test_the_domains_choice_holds_for_those_without_their_own(domain: Domain) -> None:
    create_moved(OLD, SAM)
    create_moved("olga@lists.test", OLGA, "forward")
    domain.correction = "refer"
    domain.save()
    assert rcpt().code == 551
    assert rcpt("olga@lists.test").code == 250


def test_the_null_sender_stays_null() -> None:
    create_moved(OLD, SAM)
    assert send(OLD, sender="").is_positive
    assert Outgoing.objects.get().reverse_path == ""


def test_mail_that_was_here_before_is_refused() -> None:
    create_moved(OLD, SAM)
    raw = b"Delivered-To: Sam@lists.test\r\n" + MAIL
    assert send(OLD, raw=raw) == replies.LOOP


def test_the_new_address_may_be_here() -> None:
    make_list("talk@lists.test", OLGA, posters="anyone")
    create_moved(OLD, "talk@lists.test")
    found = resolve(OLD)
    assert isinstance(found, Route)
    assert [onward.door for onward in found.onward] == ["lists"]


def test_who_moves_twice_is_followed() -> None:
    create_moved("third@lists.test", SAM)
    create_moved("second@lists.test", "third@lists.test")
    create_moved(OLD, "second@lists.test")
    send(OLD)
    assert sent_to() == [SAM]


def test_an_alias_reaches_who_has_moved_unless_mail_is_refused() -> None:
    moved = create_moved(OLD, SAM)
    actions.create("team@lists.test", [OLD, OLGA])
    send("team@lists.test")
    assert sent_to() == [OLGA, SAM]
    move(moved, SAM, "refuse")
    found = resolve("team@lists.test")
    assert isinstance(found, Route)
    assert found.recipients == (OLGA,)
    actions.create("only@lists.test", [OLD])
    assert resolve("only@lists.test") == replies.LEADS_NOWHERE


def test_a_new_address_that_leads_back_is_refused() -> None:
    actions.create("team@lists.test", [OLD])
    with pytest.raises(Refused, match="lead back"):
        create_moved(OLD, "team@lists.test")
    assert not Address.objects.named(OLD).exists()
    moved = create_moved(OLD, SAM, "refuse")
    with pytest.raises(Refused, match="lead back"):
        move(moved, "team@lists.test")
    create_moved("other@lists.test", "third@lists.test")
    with pytest.raises(Refused, match="lead back"):
        actions.create("third@lists.test", ["other@lists.test"])


@pytest.mark.parametrize("wrong", ["", "sam", "sam@lists.test", f"{SAM}\n{NICK}"])
def test_one_new_address_that_is_another(wrong: str) -> None:
    alias = actions.create(OLD, [NICK])
    with pytest.raises(Refused):
        move(alias, wrong)
    assert Address.objects.named(OLD).get().kind == "alias"


@pytest.mark.parametrize("role", ["postmaster", "abuse"])
def test_a_role_stays(role: str) -> None:
    alias = Alias.objects.get(address__local_part=role)
    with pytest.raises(Refused, match="every domain"):
        move(alias, SAM)
    with pytest.raises(Refused, match="every domain"):
        actions.set_last_day(alias, timezone.localdate())


def test_moving_back_brings_the_targets_back() -> None:
    alias = actions.create(OLD, [NICK, OLGA])
    move(alias, SAM)
    send(OLD)
    move_back(alias)
    assert Address.objects.named(OLD).get().moved_to == ""
    send(OLD)
    assert sent_to() == sorted([SAM, NICK, OLGA])


def test_moving_back_without_targets_keeps_the_new_address() -> None:
    address = Address.objects.create(
        domain=Domain.objects.get(), local_part="sam", kind="moved", moved_to=SAM
    )
    alias = Alias.objects.create(address=address)
    move_back(alias)
    send(OLD)
    assert sent_to() == [SAM]


def test_a_moved_address_from_before_gets_its_alias() -> None:
    Address.objects.create(
        domain=Domain.objects.get(), local_part="sam", kind="moved", moved_to=SAM
    )
    migration = import_module("aliases.migrations.0003_moved_aliases")
    for _ in range(2):
        migration.give_each_its_alias(apps, None)
        assert send(OLD).is_positive
    assert sent_to() == [SAM, SAM]


def test_no_row_moves_to_nowhere() -> None:
    with pytest.raises(IntegrityError):
        Address.objects.update(kind="moved")


@pytest.mark.usefixtures("disclosing")
def test_a_closed_address_tells_nothing() -> None:
    alias = create_moved(OLD, SAM, "refer")
    actions.disable(alias)
    assert rcpt() == replies.DISABLED
    actions.enable(alias)
    actions.set_last_day(alias, timezone.localdate() - timedelta(days=1))
    assert rcpt() == replies.EXPIRED


def test_a_last_day_lasts_until_midnight(settings: Settings) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    with timezone.override("Pacific/Auckland"):
        alias = actions.create(OLD, [SAM])
        actions.set_last_day(alias, date(2099, 12, 31))
        assert alias.address.last_day == date(2099, 12, 31)
        assert alias.address.expires_at is not None
        assert alias.address.expires_at.isoformat() == "2100-01-01T00:00:00+13:00"
        actions.set_last_day(alias, timezone.localdate())
        assert rcpt() == replies.RCPT_OK
        actions.set_last_day(alias, None)
    assert Address.objects.named(OLD).get().expires_at is None


# --- explain ------------------------------------------------------------------


@pytest.mark.usefixtures("disclosing")
def test_explain_says_where_to_and_whose_choice() -> None:
    create_moved(OLD, SAM, "tell")
    found, steps = explain(OLD)
    assert isinstance(found, Route)
    assert steps[-1].text == (
        f"{OLD} has moved to {SAM}: mail goes there, and the sender is told, as the"
        " address says."
    )


def test_explain_says_that_the_site_tells_nobody() -> None:
    create_moved(OLD, SAM, "refer")
    found, steps = explain(OLD)
    assert found == replies.MOVED
    assert steps[-1].text.endswith("but this site tells none.")


@pytest.mark.usefixtures("disclosing")
def test_the_command_shows_the_reply(capsys: pytest.CaptureFixture[str]) -> None:
    create_moved(OLD, SAM, "tell")
    call_command("explain", OLD)
    assert (
        f"251 2.1.5 User not local; will forward to <{SAM}>" in capsys.readouterr().out
    )
