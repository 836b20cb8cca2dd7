"""Rows inserted by the columns in which they differ."""

from __future__ import annotations

import pytest
from django.db import DataError, connection, transaction
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from smtpd.columns import Columns
from smtpd.gathering import gather
from smtpd.models import Delivery, Message, Outgoing

pytestmark = pytest.mark.django_db

ROWS = Columns(
    Delivery,
    *("outgoing", "address", "ref", "destination"),
    *("lane", "next_attempt_at", "updated_at"),
)
ADDRESS = r"""o'{"x\,NULL}%s"@people.test"""


def outgoing() -> Outgoing:
    message = Message.objects.create(size=3, sha256="", body_at=0, raw=b"abc")
    return Outgoing.objects.create(
        message=message, lane=0, envelope=Outgoing.Envelope.FIXED, head=b""
    )


def row(owner: Outgoing, address: str, ref: int | None) -> tuple[object, ...]:
    now = timezone.now()
    return (owner.pk, address, ref, "relay", 0, now, now)


def test_a_row_is_as_if_it_were_saved() -> None:
    owner = outgoing()
    ROWS.insert([row(owner, ADDRESS, None), row(owner, "sam@people.test", 1 << 40)])
    first, second = Delivery.objects.order_by("id")
    saved = Delivery.objects.create(
        outgoing=owner,
        address=ADDRESS,
        destination="relay",
        lane=0,
        next_attempt_at=first.next_attempt_at,
        updated_at=first.updated_at,
    )
    own = ("id",)
    assert model_to_dict(first, exclude=own) == model_to_dict(saved, exclude=own)
    assert (second.address, second.ref) == ("sam@people.test", 1 << 40)


def test_no_rows_are_no_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        ROWS.insert([])
    assert not queries.captured_queries


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no limits")
def test_what_is_too_long_is_not_cut() -> None:
    owner = outgoing()
    with pytest.raises(DataError), transaction.atomic():
        ROWS.insert([row(owner, "a" * 321, None)])
    assert not Delivery.objects.exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite gathers nothing")
def test_those_of_several_messages_go_together() -> None:
    one, other = outgoing(), outgoing()
    with CaptureQueriesContext(connection) as queries, gather(2):
        ROWS.insert([row(one, "a@people.test", None)])
        ROWS.insert([row(other, "b@people.test", None), row(one, "c@people.test", 3)])
    assert len(queries) == 1
    found = Delivery.objects.order_by("id").values_list("address", flat=True)
    assert list(found) == ["a@people.test", "b@people.test", "c@people.test"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite gathers nothing")
def test_who_looks_meanwhile_finds_them() -> None:
    owner = outgoing()
    with gather(1):
        ROWS.insert([row(owner, "a@people.test", None)])
        assert Delivery.objects.count() == 1
