"""Many members at once: spellings, dry run, restart, export."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lists.models import MailingList, MemberImport, Subscriber, Subscription
from lists.subscriptions import imports, rows
from lists.subscriptions.imports import export_members, run_import
from tests.lists.posts import NICK, OLGA, SAM, make_list, subscribe

pytestmark = pytest.mark.django_db
User: Any = get_user_model()


def start(mlist: MailingList, text: str, *, is_dry_run: bool = False) -> MemberImport:
    job = MemberImport.objects.create(
        mailing_list=mlist, text=text, is_dry_run=is_dry_run
    )
    run_import(job.pk)
    job.refresh_from_db()
    return job


def members(mlist: MailingList) -> list[str]:
    return list(mlist.subscriptions.values_list("subscriber__folded", flat=True))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sam@people.test", [("", SAM)]),
        ("Sam Smith <sam@people.test>", [("Sam Smith", SAM)]),
        ('"Smith, Sam" <sam@people.test>', [("Smith, Sam", SAM)]),
        (
            "Sam <sam@people.test>, nick@elsewhere.test",
            [("Sam", SAM), ("", NICK)],
        ),
        ("sam@people.test, nick@elsewhere.test", [("", SAM), ("", NICK)]),
        ("sam@people.test;Sam Smith", [("Sam Smith", SAM)]),
        ("sam@people.test\tSam Smith", [("Sam Smith", SAM)]),
        ('sam@people.test,"Smith, Sam"', [("Smith, Sam", SAM)]),
        ("Sam Smith,sam@people.test", [("Sam Smith", SAM)]),
        ("sam@people.test,Sam,more,cells", [("Sam", SAM)]),
        ("sam@people.test,", [("", SAM)]),
        ("'+tag@people.test", [("", "+tag@people.test")]),
        ("  ", []),
        ("# a comment", []),
        ("Name;E-Mail", []),
    ],
)
def test_a_line_is_read_as_people_write_it(
    line: str, expected: list[tuple[str, str]]
) -> None:
    found, problems = rows.read(line, 1)
    assert [(row.name, row.person.address) for row in found] == expected
    assert not problems


@pytest.mark.parametrize("line", ["sam", "sam@", "Sam Smith <sam>", "a@b@c", "x;y;z"])
def test_a_line_without_an_address_is_a_problem(line: str) -> None:
    found, [problem] = rows.read(line, 7)
    assert not found
    assert (problem.number, problem.line) == (7, line)
    assert problem.why


def test_an_import_adds_everyone_once_and_says_what_was_wrong() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    text = (
        "\ufeffaddress,name\r\nsam@people.test,Sam\r\nNick@Elsewhere.test,Nick\r\n"
        "nick@elsewhere.test,Again\r\nnonsense\r\ntalk@lists.test,itself\r\n"
    )
    job = start(mlist, text)
    assert members(mlist) == [NICK, SAM]
    assert (job.state, job.total, job.done) == ("done", 6, 6)
    assert (job.added, job.present) == (1, 1)
    assert [problem[:2] for problem in job.problems] == [[5, "nonsense"]]
    assert job.finished_at
    assert Subscriber.objects.get(folded=NICK).name == "Nick"


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    mlist = make_list()
    subscribe(mlist, SAM)
    text = "sam@people.test\nnick@elsewhere.test\nnonsense\n"
    job = start(mlist, text, is_dry_run=True)
    assert (job.added, job.present, len(job.problems)) == (1, 1, 1)
    assert members(mlist) == [SAM]


def test_an_import_that_was_killed_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mlist = make_list()
    text = "\n".join(f"p{number}@people.test" for number in range(950))
    job = MemberImport.objects.create(mailing_list=mlist, text=text, is_dry_run=False)
    step, steps = imports._step, []

    def die_in_the_third(*args: Any) -> bool:
        steps.append(args)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(imports, "_step", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.added) == ("running", 400, 400)
    assert imports.left_behind() == [job.pk]
    run_import(job.pk)
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.added, job.present) == ("done", 950, 0)
    assert mlist.subscriptions.count() == 950
    assert imports.left_behind() == []


def test_a_second_worker_of_one_import_gives_way() -> None:
    mlist = make_list()
    job = MemberImport.objects.create(
        mailing_list=mlist,
        text="sam@people.test\n",
        is_dry_run=False,
        state="running",
        total=1,
    )
    first = MemberImport.objects.get(pk=job.pk)
    second = MemberImport.objects.get(pk=job.pk)
    lines = rows.lines(job.text)
    assert imports._step(first, lines)
    assert not imports._step(second, lines)
    job.refresh_from_db()
    assert (job.added, job.present) == (1, 0)


def test_at_most_two_hundred_problems_are_kept() -> None:
    job = start(make_list(), "nonsense\n" * 500)
    assert len(job.problems) == imports.MAX_PROBLEMS


def test_who_started_an_import_hears_of_its_end_once() -> None:
    olga = User.objects.create_user(OLGA)
    job = MemberImport.objects.create(
        mailing_list=make_list(), text="sam@people.test", is_dry_run=False, by=olga
    )
    run_import(job.pk)
    run_import(job.pk)
    [notice] = mail.outbox
    assert notice.to == [OLGA]


def test_an_export_runs_no_formula_and_comes_back_as_it_was() -> None:
    mlist = make_list()
    start(mlist, "+plus@people.test\nsam@people.test,=cmd|'/c calc'!A1\n")
    exported = list(export_members(mlist))
    assert exported[0][:2] == ["address", "name"]
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for row in exported for cell in row
    )
    file = io.StringIO()
    csv.writer(file).writerows(exported)
    other = make_list("other")
    start(other, file.getvalue())
    assert members(other) == members(mlist)
    assert Subscription.objects.count() == 4


def test_addmembers_adds_the_good_and_names_the_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mlist = make_list()
    file = tmp_path / "members.csv"
    file.write_text("sam@people.test,Sam\nnonsense\nnick@elsewhere.test\n")
    with pytest.raises(SystemExit) as stopped:
        call_command("addmembers", "Talk@lists.test", str(file))
    assert stopped.value.code == 1
    said = capsys.readouterr()
    assert "line 2" in said.err
    assert "nonsense" in said.err
    assert "2 added" in said.out
    file.write_text("sam@people.test\n")
    call_command("addmembers", "talk@lists.test", str(file))
    assert "0 added, 1 were" in capsys.readouterr().out
    assert members(mlist) == [NICK, SAM]


def test_addmembers_is_fast(tmp_path: Path) -> None:
    mlist = make_list()
    file = tmp_path / "members.txt"
    file.write_text("\n".join(f"p{n}@people{n % 50}.test" for n in range(10_000)))
    # Of this process, so that a busy machine does not fail the test.
    started = time.process_time()
    with CaptureQueriesContext(connection) as queries:
        call_command("addmembers", "talk@lists.test", str(file))
    assert time.process_time() - started < 10
    assert len(queries) < 500
    assert mlist.subscriptions.receiving().count() == 10_000


def test_addmembers_wants_a_list_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no list"):
        call_command("addmembers", "talk@lists.test", "-")
    make_list()
    with pytest.raises(CommandError, match="No such file"):
        call_command("addmembers", "talk@lists.test", str(tmp_path / "none"))


def test_the_database_knows_of_many_new_ones() -> None:
    mlist = make_list()
    start(mlist, "\n".join(f"m{at}@people.test" for at in range(imports.MANY)))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT reltuples FROM pg_class WHERE relname = 'lists_subscription'"
            )
        else:
            cursor.execute(
                "SELECT stat FROM sqlite_stat1 WHERE tbl = 'lists_subscription'"
            )
        known = str(cursor.fetchone()[0]).split()[0]
    assert float(known) >= imports.MANY


@pytest.mark.parametrize(("is_dry_run", "times"), [(False, 4), (True, 0)])
def test_it_hears_of_them_each_time_they_have_doubled(
    monkeypatch: pytest.MonkeyPatch, is_dry_run: bool, times: int
) -> None:
    monkeypatch.setattr(imports, "MANY", 20)
    monkeypatch.setattr(imports, "CHUNK", 10)
    text = "\n".join(f"m{at}@people.test" for at in range(100))
    with CaptureQueriesContext(connection) as queries:
        start(make_list(), text, is_dry_run=is_dry_run)
    said = [query["sql"] for query in queries if "ANALYZE" in query["sql"]]
    # Behind 20, 40 and 70, and at the end.
    assert len([each for each in said if "lists_subscription" in each]) == times
