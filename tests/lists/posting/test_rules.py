from __future__ import annotations

from dataclasses import replace

import pytest

from lists.posting.rules import Policy, Standing, judge
from smtpd.verdict import Outcome
from tests.lists.posts import NICK, SAM, make_mail, read

MEMBER = Standing()
POLICY = Policy(
    address="z@example.com",
    list_id="z.example.com",
    help_url="https://site.test/lists/z@example.com/",
    standing=MEMBER,
)
ACCEPT, HOLD = Outcome.ACCEPT, Outcome.HOLD
REFUSE, DISCARD = Outcome.REFUSE, Outcome.DISCARD


def fate(policy: Policy, *extra: str, author: str = SAM) -> Outcome:
    return judge(policy, read(make_mail(*extra, author=author))).outcome


def test_a_member_may_post() -> None:
    assert fate(POLICY) is ACCEPT


@pytest.mark.parametrize(
    ("posters", "others", "standing", "outcome"),
    [
        ("members", "hold", MEMBER, ACCEPT),
        ("members", "hold", None, HOLD),
        ("members", "refuse", None, REFUSE),
        ("members", "refuse", Standing(posting="held"), HOLD),
        ("members", "hold", Standing(suspended_by="bounces"), ACCEPT),
        ("members", "hold", Standing(suspended_by="member"), ACCEPT),
        ("members", "hold", Standing(suspended_by="owner"), HOLD),
        ("anyone", "refuse", None, ACCEPT),
        ("anyone", "refuse", Standing(posting="held"), HOLD),
        ("owners", "hold", MEMBER, HOLD),
        ("owners", "refuse", MEMBER, REFUSE),
        ("owners", "refuse", None, REFUSE),
        ("owners", "refuse", Standing(posting="allowed"), ACCEPT),
        ("owners", "refuse", Standing(role="moderator"), ACCEPT),
        ("owners", "refuse", Standing(role="owner"), ACCEPT),
        ("owners", "refuse", Standing(role="owner", posting="held"), HOLD),
    ],
)
def test_who_may_post(
    posters: str, others: str, standing: Standing | None, outcome: Outcome
) -> None:
    policy = replace(POLICY, posters=posters, others=others, standing=standing)
    assert fate(policy) is outcome


@pytest.mark.parametrize(
    "field",
    [
        "List-Post: <mailto:z@example.com>",
        "List-Post: z@example.com",
        "LIST-POST: <MAILTO:Z@EXAMPLE.COM>",
        "List-Post: <mailto:z%40example.com?subject=x>",
        "List-Post: <https://a.test/>, <mailto:z@example.com> (Postings)",
        "List-Id: <z.example.com>",
        "List-Id: Zed <Z.Example.COM>",
        "List-ID: =?utf-8?q?Z=C3=A9d?=\r\n <z.example.com>",
        "List-Id: z.example.com",
    ],
)
def test_our_own_post_coming_back_is_refused_as_a_loop(field: str) -> None:
    verdict = judge(POLICY, read(make_mail(field)))
    assert verdict.outcome is REFUSE
    assert verdict.reply is not None
    assert bytes(verdict.reply).startswith(b"550 5.4.6 ")


@pytest.mark.parametrize(
    "field",
    [
        "List-Id: <a.z.example.com>",
        "List-Id: <z.example.com.au>",
        "List-Id: <xz.example.com>",
        "List-Id: <zxexample.com>",
        "List-Post: NO",
        "List-Post: <mailto:az@example.com>",
        "List-Post: <mailto:a-z@example.com>",
        "List-Post: <mailto:a+z@example.com>",
        "List-Post: <mailto:z@example.com.au>",
        "X-Quoted: List-Id <z.example.com>",
    ],
)
def test_another_list_is_no_loop(field: str) -> None:
    assert fate(POLICY, field) is ACCEPT


def test_mail_without_a_sender_is_refused() -> None:
    verdict = judge(POLICY, read(make_mail(), reverse_path=""))
    assert verdict.outcome is REFUSE
    assert verdict.reply is not None
    assert verdict.reply.enhanced == "5.7.1"


@pytest.mark.parametrize(
    ("value", "posting", "outcome"),
    [
        ("no", "default", ACCEPT),
        ("No (a person)", "default", ACCEPT),
        ("auto-replied", "default", DISCARD),
        ("Auto-Replied; owner-email=a@b", "allowed", DISCARD),
        ("auto-generated", "default", HOLD),
        ("auto-generated", "allowed", ACCEPT),
        ("auto-notified; x=y", "default", HOLD),
    ],
)
def test_programs_do_not_join_discussions(
    value: str, posting: str, outcome: Outcome
) -> None:
    policy = replace(POLICY, standing=Standing(posting=posting))
    assert fate(policy, f"Auto-Submitted: {value}") is outcome


@pytest.mark.parametrize("author", ["", "<>", "Sam", "undisclosed:;", '"sam@x.test"'])
def test_a_message_without_an_author_is_refused(author: str) -> None:
    verdict = judge(POLICY, read(make_mail(author=author)))
    assert verdict.outcome is REFUSE
    assert verdict.reply is not None
    assert verdict.reply.enhanced == "5.6.0"


@pytest.mark.parametrize(
    "extra", [(), ("From: sam@people.test\r\nFrom: nick@elsewhere.test",)]
)
def test_several_authors_are_held_even_where_anyone_may_post(
    extra: tuple[str, ...],
) -> None:
    policy = replace(POLICY, posters="anyone")
    assert fate(policy, *extra, author=f"{SAM}, {NICK}") is HOLD


def test_size_is_refused_beyond_the_limit_only() -> None:
    raw = make_mail()
    assert judge(replace(POLICY, max_size=len(raw)), read(raw)).outcome is ACCEPT
    verdict = judge(replace(POLICY, max_size=len(raw) - 1), read(raw))
    assert verdict.outcome is REFUSE
    assert verdict.reply is not None
    assert bytes(verdict.reply).startswith(b"552 5.3.4 ")
    assert str(len(raw) - 1) in verdict.reply.text


def test_a_known_message_is_dropped_not_refused() -> None:
    verdict = judge(replace(POLICY, is_duplicate=True), read(make_mail()))
    assert (verdict.outcome, verdict.reply) == (DISCARD, None)


@pytest.mark.parametrize("posters", ["members", "owners"])
def test_a_refusal_says_why_and_where_to_read_on(posters: str) -> None:
    policy = replace(POLICY, posters=posters, others="refuse", standing=None)
    verdict = judge(policy, read(make_mail()))
    assert verdict.reply is not None
    line = bytes(verdict.reply).decode()
    assert line.startswith("550 5.7.1 Only ")
    assert policy.help_url in line


def test_a_moderator_sees_every_reason_to_hold() -> None:
    policy = replace(POLICY, standing=None)
    verdict = judge(policy, read(make_mail("Auto-Submitted: auto-generated")))
    assert verdict.outcome is HOLD
    assert len(verdict.reasons) == 2
    assert all(reason.endswith(".") for reason in verdict.reasons)


@pytest.mark.parametrize("field", ["Precedence: bulk", "Urgent: x", "Subject: "])
def test_what_says_nothing_about_rights_is_ignored(field: str) -> None:
    assert fate(POLICY, field) is ACCEPT
