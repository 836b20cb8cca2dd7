"""A queue too large to count or to look through: what the page says of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.expressions import RawSQL
from django.utils import timezone

from smtpd import backlog, patience, sampling, searching
from smtpd.backlog import estimate_backlog, read_backlog
from smtpd.models import Delivery, Destination
from smtpd.models.delivery import DeliveryQuerySet
from smtpd.pages import queue
from smtpd.patience import TooLong, at_most
from smtpd.selection import select
from tests.people import signed_in
from tests.smtpd.test_queue_pages import make_delivery

pytestmark = pytest.mark.django_db
ANY = {"state": "any", "destination": "", "to": "", "q": ""}
# A recursion that never ends.
ENDLESS = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)"


def fill(count: int, **more: object) -> None:
    """Rows of one message, every tenth for d1.test."""
    like = make_delivery()
    like.delete()
    now = timezone.now()
    Delivery.objects.bulk_create(
        Delivery(
            outgoing=like.outgoing,
            address=f"p{n}@x.test",
            lane=1,
            updated_at=now,
            **{
                "destination": "d1.test" if n % 10 == 0 else "d0.test",
                "next_attempt_at": now,
                **more,
            },
        )
        for n in range(count)
    )


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is very much otherwise is 100 here."""
    monkeypatch.setattr(sampling, "MOST", 100)
    monkeypatch.setattr(sampling, "PARTS", 3)
    monkeypatch.setattr(sampling, "LENGTH", 10)


def near(count: int, true: int) -> bool:
    return abs(count - true) <= true * 0.15


@pytest.mark.usefixtures("few")
def test_of_very_many_a_sample_says_how_many() -> None:
    fill(3000)
    fill(3000, state="sent")
    fill(3000, code=451, text="later")
    large, small = estimate_backlog(Delivery.objects.all())
    assert (large.destination, small.destination) == ("d0.test", "d1.test")
    assert near(large.count, 5400)
    assert near(small.count, 600)
    assert large.is_rough
    assert large.states.keys() == {"queued"}
    assert near(large.reasons[0].count, 2700)


@pytest.mark.usefixtures("few")
def test_young_rows_are_seen_in_a_large_ledger() -> None:
    fill(8000, state="sent")
    fill(200)
    assert near(sum(b.count for b in estimate_backlog(Delivery.objects.all())), 200)


@pytest.mark.usefixtures("few")
def test_what_a_person_must_look_at_is_never_a_guess() -> None:
    fill(3000)
    fill(3, state="held", destination="d2.test")
    fill(2, destination="dead.test")
    Destination.objects.create(name="dead.test", failures=3, last_failure="421 no")
    found = {b.destination: b for b in estimate_backlog(Delivery.objects.all())}
    assert found["d2.test"].states == {"held": 3}
    assert found["dead.test"].states == {"queued": 2}
    assert found["dead.test"].failures == 3
    assert not found["dead.test"].is_rough


@pytest.mark.usefixtures("few")
def test_the_page_says_that_it_is_a_guess() -> None:
    site = signed_in("root@x.test", admin=True)
    fill(50)
    assert "about" not in site.get("/queue/numbers/").content.decode()
    fill(3000)
    backlog.forget()
    page = site.get("/queue/numbers/").content.decode()
    assert "Estimated from a sample" in page
    assert "about 3," in page


def test_few_rows_are_counted_to_the_last_one() -> None:
    fill(120)
    assert estimate_backlog(Delivery.objects.all()) == read_backlog()


@pytest.mark.parametrize(
    ("count", "said"), [(0, 0), (7, 7), (99, 99), (1_234_567, 1_200_000)]
)
def test_two_digits_are_said_of_a_guess(count: int, said: int) -> None:
    assert sampling.rough(count) == said


def looked_up(word: str) -> DeliveryQuerySet:
    return select(Delivery.objects.all(), {**ANY, "q": word})


def test_a_whole_address_is_that_one_and_a_part_is_any() -> None:
    for to in ("sam@x.test", "Sam@X.test", "osam@x.test"):
        make_delivery(to)
    assert looked_up("SAM@x.test").count() == 2
    assert looked_up("sam@").count() == looked_up("@x.test").count() == 3


def test_a_search_goes_backwards_in_steps_and_on_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "_FIRST", 10)
    monkeypatch.setattr(searching, "_MOST", 10)
    old = make_delivery("sam@x.test")
    fill(30)
    new = make_delivery("sam@x.test")
    rows = looked_up("sam@x.test")
    assert searching.newest(rows, 50).pks == [new.pk, old.pk]
    assert searching.newest(rows, 50).before is None
    first = searching.newest(rows, 1)
    assert (first.pks, first.before) == ([new.pk], new.pk)
    monkeypatch.setattr(searching, "LATER", 0)
    here, seen = first.before, []
    while here is not None:
        found = searching.newest(rows, 50, here)
        seen += found.pks
        assert found.before is None or found.before < here
        here = found.before
    assert seen == [old.pk]


def test_the_page_says_how_far_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SOON", 0)
    monkeypatch.setattr(searching, "_FIRST", 10)
    site = signed_in("root@x.test", admin=True)
    make_delivery("sam@x.test")
    fill(30)
    answer = site.get("/queue/?q=sam@x.test")
    assert "Not among the newest" in answer.content.decode()
    further = site.get(f"/queue/?q=sam@x.test&before={answer.context['before']}")
    assert "sam@x.test</a>" in further.content.decode()
    assert "nothing older on record" in further.content.decode()


def test_a_statement_that_takes_too_long_is_stopped() -> None:
    endless = RawSQL(f"({ENDLESS} SELECT count(*) FROM t)", ())
    make_delivery()
    with pytest.raises(TooLong), at_most(0.05):
        list(Delivery.objects.annotate(n=endless).values("n"))
    # The connection is as it was.
    assert Delivery.objects.count() == 1
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


def test_the_page_says_what_to_do_when_it_cannot_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_STEPS", 100)
    monkeypatch.setattr(queue, "PATIENCE", 0.001)
    fill(20_000, state="sent")
    site = signed_in("root@x.test", admin=True)
    page = site.get("/queue/?state=sent&destination=x.test").content.decode()
    assert "This takes too long to find" in page


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks its planner")
def test_no_page_reads_the_whole_ledger() -> None:
    fill(5000, state="sent")
    fill(300)
    since = timezone.now() - timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE smtpd_delivery")
    rows = Delivery.objects.all()
    ids = rows.values_list("id", flat=True).order_by("-id")
    last = ids[0]
    looked = looked_up("sam@x.test").filter(id__gte=last - 99, id__lt=last)
    waiting = rows.waiting().order_by("destination")
    with at_most(5, by_index=True):
        plans = [
            looked.order_by("-id").values("pk")[:50].explain(),
            waiting[: sampling.MOST + 1].explain(),
            rows.filter(state="failed", updated_at__gt=since).explain(),
            sampling.sample(rows.waiting()).rows.explain(),
        ]
    assert not [plan for plan in plans if "Seq Scan" in plan]
