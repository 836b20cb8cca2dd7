from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from aliases import actions
from aliases.actions import BadTargets, Refused
from aliases.models import Alias
from smtpd.models import Address, Domain
from tests.aliases.makers import NICK, SAM, make_domain, make_list

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def domain() -> Domain:
    return make_domain()


def targets(alias: Alias) -> list[str]:
    return [target.mailbox for target in alias.targets.all()]


def test_an_alias_is_made_with_its_targets() -> None:
    alias = actions.create("Team@Lists.test", [SAM, "Nick@Elsewhere.TEST"], "us")
    assert str(alias) == "team@lists.test"
    assert targets(alias) == [SAM, "Nick@elsewhere.test"]
    assert alias.description == "us"
    assert alias.address.is_open


def test_targets_are_read_line_by_line() -> None:
    text = f"{SAM}\n\nnot an address\n  {NICK} \nSAM@people.test\n@x\n"
    good, problems = actions.parse_targets(text)
    assert good == [SAM, NICK]
    assert [(p.number, p.line) for p in problems] == [(3, "not an address"), (6, "@x")]
    assert all(problem.text for problem in problems)


def test_control_characters_are_no_target() -> None:
    good, problems = actions.parse_targets("sam@people.test\x00\nsam\tx@people.test")
    assert good == []
    assert len(problems) == 2


def test_bad_lines_are_refused_by_number() -> None:
    with pytest.raises(BadTargets, match="Line 2: nobody is not"):
        actions.create("team@lists.test", [SAM, "nobody"])
    assert not Address.objects.named("team@lists.test").exists()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("team@elsewhere.test", "not a domain of this site"),
        ("team", "not an e-mail address"),
        ("postmaster@lists.test", "taken"),
        ("bounces@lists.test", "reserved"),
        ("bounces+x@lists.test", "reserved"),
        ("leave+x@lists.test", "reserved"),
        ("talk@lists.test", "taken"),
        ("talk-owner@lists.test", "reserved"),
    ],
)
def test_an_address_must_be_free(address: str, why: str) -> None:
    make_list("talk@lists.test")
    with pytest.raises(Refused, match=why):
        actions.create(address, [SAM])


def test_an_alias_beside_a_list_may_share_its_first_word() -> None:
    make_list("talk@lists.test")
    assert actions.create("talk-announce@lists.test", [SAM])


def test_no_targets_is_refused() -> None:
    with pytest.raises(Refused, match="at least one"):
        actions.create("team@lists.test", [])


@pytest.mark.parametrize("target", ["team@lists.test", "TEAM@LISTS.TEST"])
def test_an_alias_cannot_be_its_own_target(target: str) -> None:
    with pytest.raises(Refused, match="its own target"):
        actions.create("team@lists.test", [target])


def test_a_cycle_is_refused_with_its_path() -> None:
    team = actions.create("team@lists.test", ["all@lists.test"])
    actions.create("all@lists.test", ["staff@lists.test", SAM])
    with pytest.raises(Refused) as caught:
        actions.create("staff@lists.test", [NICK, "team@lists.test"])
    way = "staff@lists.test -> team@lists.test -> all@lists.test -> staff@lists.test"
    assert way in caught.value.messages[0]
    other = Alias.objects.get(address__local_part="all")
    with pytest.raises(Refused, match=r"all@lists\.test -> team@lists\.test -> all@"):
        actions.update(other, ["team@lists.test"])
    assert targets(team) == ["all@lists.test"]


def test_a_tag_does_not_hide_a_cycle() -> None:
    actions.create("team@lists.test", ["all+x@lists.test"])
    with pytest.raises(Refused, match="lead back"):
        actions.create("all@lists.test", ["team+y@lists.test"])


def test_a_disabled_alias_still_counts_for_cycles() -> None:
    actions.disable(actions.create("team@lists.test", ["all@lists.test"]))
    with pytest.raises(Refused, match="lead back"):
        actions.create("all@lists.test", ["team@lists.test"])


def test_update_replaces_all_or_nothing() -> None:
    alias = actions.create("team@lists.test", [SAM], "us")
    actions.update(alias, [NICK])
    assert targets(alias) == [NICK]
    assert alias.description == "us"
    with pytest.raises(Refused):
        actions.update(alias, [SAM, "bad"], "other")
    alias.refresh_from_db()
    assert targets(alias) == [NICK]
    assert alias.description == "us"


def test_postmaster_and_abuse_come_with_the_domain_and_stay() -> None:
    for role in ("postmaster", "abuse"):
        alias = Alias.objects.get(address__local_part=role)
        with pytest.raises(Refused):
            actions.disable(alias)
        with pytest.raises(Refused):
            actions.delete(alias)
        actions.update(alias, [SAM])
        actions.update(alias, [])
        assert targets(alias) == []


def test_provisioning_twice_changes_nothing(domain: Domain) -> None:
    alias = Alias.objects.get(address__local_part="abuse")
    actions.update(alias, [SAM])
    actions.provision(domain)
    assert targets(alias) == [SAM]
    assert Alias.objects.count() == 2


def test_delete_frees_the_address() -> None:
    actions.delete(actions.create("team@lists.test", [SAM]))
    assert not Address.objects.named("team@lists.test").exists()
    actions.create("team@lists.test", [NICK])


def test_addalias_from_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("addalias", "team@lists.test", SAM, NICK)
    assert capsys.readouterr().out == "team@lists.test: 2 targets\n"
    with pytest.raises(CommandError, match="taken"):
        call_command("addalias", "team@lists.test", SAM)
