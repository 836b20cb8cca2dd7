"""Statements that are worded once: the same answers as the ORM's own."""

from __future__ import annotations

import os

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from aliases.actions import create
from smtpd import pieces
from smtpd.domains.actions import add_domain
from smtpd.models import Address, Domain, Event, Message, Outgoing
from smtpd.models.message import make_key
from smtpd.statements import Prepared, insert

pytestmark = pytest.mark.django_db

_NAMED = Prepared(
    lambda names: Address.objects.filter(local_part__in=names),
    set,
    related=("domain",),
)
_PAIRS = Prepared(
    lambda name, open_: Domain.objects.filter(name=name, id__gt=open_).values_list(
        "name", "is_active"
    ),
    str,
    int,
)

_NUMBERED = Prepared(
    lambda keys: (
        Address.objects.filter(pk__in=keys)
        .order_by("pk")
        .annotate(name=F("local_part"))
    ),
    set[int],
    related=("domain",),
    without=("local_part", "domain__dkim_key"),
)
_SIGNED = Prepared(
    lambda key: Outgoing.objects.filter(pk=key), int, related=("dkim_domain",)
)


@pytest.fixture(autouse=True)
def addresses() -> None:
    add_domain("l.test", dkim="")
    for name in ("a", "b", "c", "d", "e", "f"):
        create(f"{name}@l.test", ["sam@people.test"])


@pytest.mark.parametrize("names", [[], ["a"], ["a", "x"], list("abcdef"), ["f"] * 9])
def test_it_finds_what_the_orm_finds(names: list[str]) -> None:
    expected = Address.objects.filter(local_part__in=names)
    assert _NAMED(names) == list(expected)


def test_rows_are_whole_models_with_what_they_bring_along() -> None:
    found = _NAMED.first(["a"])
    row = Address.objects.select_related("domain").get(local_part="a")
    assert found is not None
    assert found.__dict__.keys() - {"_state"} == row.__dict__.keys() - {"_state"}
    with CaptureQueriesContext(connection) as queries:
        assert found.domain.name == "l.test"
        assert found.domain.is_active is True
        assert found.created_at == row.created_at
    assert not queries.captured_queries
    found.is_enabled = False
    found.save()
    assert not Address.objects.get(pk=row.pk).is_enabled


def test_numbers_have_slots_as_well() -> None:
    keys = list(Address.objects.values_list("pk", flat=True))[:3]
    assert [row.pk for row in _NUMBERED(keys)] == keys
    assert _NUMBERED([]) == []


def test_annotations_come_beside_each_row() -> None:
    known = Address.objects.get(local_part="a")
    assert _NUMBERED.annotated([known.pk]) == [(known, ("a",))]


def test_what_is_left_out_is_read_when_it_is_asked_for() -> None:
    key = Address.objects.get(local_part="a").pk
    (found,) = _NUMBERED([key])
    assert {"local_part"} <= found.get_deferred_fields()
    assert found.domain.get_deferred_fields() == {"dkim_key"}
    assert found.local_part == "a"


def test_a_key_that_leads_nowhere_brings_nobody_along() -> None:
    message = Message.objects.create(size=0, sha256="", body_at=0, raw=b"")
    sent = Outgoing.objects.create(message=message, lane=0, envelope="fixed", head=b"")
    found = _SIGNED.first(sent.pk)
    assert found is not None
    with CaptureQueriesContext(connection) as queries:
        assert found.dkim_domain is None
    assert not queries.captured_queries


def test_values_are_what_the_fields_say() -> None:
    assert _PAIRS.rows("l.test", 0) == [("l.test", True)]
    assert _PAIRS.rows("l.test", 1 << 30) == []
    assert _PAIRS.rows("'; DROP TABLE x; --", 0) == []


def test_an_inserted_row_is_as_if_it_were_saved() -> None:
    message = Message(size=3, sha256="", body_at=0, raw=b"\x00%s", forward_paths=["a"])
    assert insert(message)
    found = Message.objects.get(pk=message.pk)
    assert bytes(found.raw) == b"\x00%s"
    assert found.forward_paths == ["a"]
    assert found.received_at == message.received_at
    event = Event(message=message, kind="k", text="t")
    insert(event)
    event.text = "changed"
    event.save()
    assert Event.objects.get().text == "changed"


@pytest.mark.parametrize("octets", [pieces.LARGE, pieces.LARGE + 1, 3_000_001])
def test_large_octets_arrive_whole_and_in_order(octets: int) -> None:
    raws = [os.urandom(octets), os.urandom(octets), b"small"]
    for raw in raws:
        insert(Message(key=make_key(), size=len(raw), sha256="", body_at=0, raw=raw))
    found = Message.objects.order_by("id").values_list("raw", flat=True)
    assert [bytes(raw) for raw in found] == raws


def test_a_known_row_changes_nothing() -> None:
    domain = Domain.objects.get()
    again = Address(domain=domain, local_part="a", kind=Address.Kind.LIST)
    assert not insert(again, unless_known=True)
    assert not again.pk
    assert Address.objects.filter(local_part="a").count() == 1
