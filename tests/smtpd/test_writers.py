"""Messages stored together: each sender's answer as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from smtpd.domains.actions import add_domain
from smtpd.listener.threads import Threads
from smtpd.listener.writers import Writers, _together
from smtpd.models import Domain

pytestmark = pytest.mark.django_db(transaction=True)


class Refused(Exception):
    """Something that goes wrong with one message."""


def store(name: str) -> str:
    with transaction.atomic(savepoint=False):
        Domain.objects.create(name=name)
    return name


def fail(name: str) -> str:
    with transaction.atomic(savepoint=False):
        Domain.objects.create(name=name)
        raise Refused(name)


def names() -> set[str]:
    return set(Domain.objects.values_list("name", flat=True))


def works(*names: str) -> list[Callable[[], str]]:
    return [partial(store, name) for name in names]


def test_those_that_wait_share_a_commit() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert _together(works("a.test", "b.test", "c.test")) == [
            "a.test",
            "b.test",
            "c.test",
        ]
    sql = [query["sql"].split()[0] for query in queries]
    assert sql.count("COMMIT") == 1
    assert "SAVEPOINT" not in sql
    assert names() == {"a.test", "b.test", "c.test"}


def test_one_that_fails_leaves_nothing_and_spoils_nothing() -> None:
    done = _together([*works("a.test"), lambda: fail("x.test"), *works("b.test")])
    assert [type(answer) for answer in done] == [str, Refused, str]
    assert names() == {"a.test", "b.test"}


def test_one_that_breaks_a_constraint_spoils_nothing() -> None:
    add_domain("a.test", dkim="")
    done = _together(works("b.test", "a.test", "c.test"))
    assert [isinstance(answer, str) for answer in done] == [True, False, True]
    assert names() == {"a.test", "b.test", "c.test"}


def test_a_commit_that_fails_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have happened all the same: twice would be worse than 451."""

    def broken() -> None:
        raise OperationalError("the line went dead")

    asked: list[str] = []

    def counted(name: str) -> str:
        asked.append(name)
        return store(name)

    transaction.get_connection().ensure_connection()
    monkeypatch.setattr(connection, "_commit", broken)
    with pytest.raises(OperationalError, match="went dead"):
        _together([partial(counted, "a.test"), partial(counted, "b.test")])
    assert asked == ["a.test", "b.test"]


def test_callers_get_their_own_answers() -> None:
    async def main() -> list[Any]:
        threads = Threads(4)
        writers: Writers[str] = Writers(threads)
        found = await asyncio.gather(
            *(writers.run(work) for work in works(*(f"d{n}.test" for n in range(30)))),
            writers.run(partial(fail, "x.test")),
            return_exceptions=True,
        )
        await asyncio.to_thread(threads.close)
        return found

    *done, failed = asyncio.run(main())
    assert done == [f"d{n}.test" for n in range(30)]
    assert isinstance(failed, Refused)
    assert len(names()) == 30
