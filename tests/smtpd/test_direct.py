"""RELAY=mx: each domain's own servers, on loopback addresses of their own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from smtpd.models import Delivery, Destination, Domain, Outgoing
from smtpd.outbound.relay import TLS, Hop
from smtpd.queue import actions, due
from smtpd.queue.destinations import reroute
from tests.certificates import server_context
from tests.sink import Script, Sink
from tests.smtpd.net import Net
from tests.smtpd.sending import make_outgoing, make_verp, retry, run, states

pytestmark = pytest.mark.django_db(transaction=True)

Place = Callable[..., Sink]


@pytest.fixture
def net(settings: Settings) -> Iterator[Net]:
    settings.RELAY, settings.WORKERS = "mx", 1
    with ExitStack() as stack:
        yield Net(stack)


def row(address: str) -> Delivery:
    return Delivery.objects.get(address=address)


def people_at(domain: str, count: int) -> list[tuple[str, int | None]]:
    return [(f"p{at}@{domain}", at + 1) for at in range(count)]


def test_each_domain_gets_its_own(net: Net) -> None:
    one, two = net.server(), net.server()
    net.domain("one.test", one)
    net.domain("two.test", two)
    make_outgoing([("a@one.test", 1), ("b@two.test", 2), ("c@one.test", 3)])
    with net.working() as worker:
        run(worker)
    assert sorted(one.recipients()) == ["a@one.test", "c@one.test"]
    assert two.recipients() == ["b@two.test"]
    # Copies alike share a transaction, but never with another domain.
    assert len(one.messages) == 1
    assert row("a@one.test").host == f"mx0.one.test[{one.host}]:{net.port}"
    assert row("b@two.test").destination == "two.test"


def test_a_list_copy_does_not_wait_behind_the_express(net: Net) -> None:
    server = net.server()
    net.domain("home.test", server)
    make_outgoing([("a@home.test", None)], lane=Outgoing.Lane.FAST)
    make_verp([("b@home.test", None)])
    with net.working() as worker:
        run(worker)
    assert states() == {"sent": 2}
    assert sorted(server.recipients()) == ["a@home.test", "b@home.test"]


def test_destination_is_the_domain_as_dns_writes_it(net: Net) -> None:
    server = net.server()
    net.domain("xn--bcher-kva.test", server)
    make_outgoing([("sam@Bücher.TEST", 1)], needs_utf8=True)
    assert Delivery.objects.get().destination == "xn--bcher-kva.test"
    with net.working() as worker:
        run(worker)
    assert states() == {"sent": 1}


def test_second_server_is_asked_when_the_first_is_down(net: Net) -> None:
    second = net.server()
    net.domain("home.test", net.address(), second)
    make_verp(people_at("home.test", 30))
    with net.working() as worker:
        run(worker)
    assert states() == {"sent": 30}
    assert Counter(second.recipients()).most_common(1)[0][1] == 1
    assert not Destination.objects.exists(), "one dead server is no dead domain"


@pytest.mark.parametrize(
    "script",
    [
        Script(greeting="421 4.3.2 busy"),
        Script(greeting="450 4.3.2 busy"),
        Script(greeting="554 5.7.1 not you"),
        Script(verbs={"EHLO": "421 4.3.2 busy"}),
    ],
    ids=["greeting-421", "greeting-450", "greeting-554", "ehlo-421"],
)
def test_second_server_is_asked_when_the_first_is_busy(
    net: Net, script: Script
) -> None:
    first, second = net.server(script), net.server()
    net.domain("home.test", first, second)
    make_verp(people_at("home.test", 3))
    with net.working() as worker:
        run(worker)
    assert len(second.recipients()) == 3
    assert first.connections >= 1
    assert {one.attempts for one in Delivery.objects.all()} == {1}


def test_server_that_takes_nothing_stands_behind_the_other(net: Net) -> None:
    first = net.server(Script(verbs={"MAIL": "421 4.7.0 not now"}))
    second = net.server()
    net.domain("home.test", first, second)
    make_verp(people_at("home.test", 3))
    with net.working() as worker:
        run(worker)
    assert len(second.recipients()) == 3
    assert states() == {"sent": 3}


def test_second_address_of_a_host_is_asked(net: Net) -> None:
    server = net.server()
    net.dns.add("home.test", "MX", "10 mx.home.test.")
    net.dns.add("mx.home.test", "A", net.address(), server.host)
    make_outgoing([("sam@home.test", 1)])
    with net.working() as worker:
        run(worker)
    assert states() == {"sent": 1}


@pytest.mark.parametrize(
    ("domain", "code", "enhanced"),
    [
        ("null.test", 556, "5.1.10"),
        ("nowhere.test", None, "5.1.2"),
        ("ourselves.test", None, "5.4.6"),
        ("half.test", None, "5.4.4"),
    ],
)
def test_no_server_ever_is_the_end(
    net: Net, domain: str, code: int | None, enhanced: str
) -> None:
    net.dns.add("null.test", "MX", "0 .")
    net.dns.add("ourselves.test", "MX", "10 mx.lists.test.")
    net.dns.add("half.test", "MX", "10 gone.half.test.")
    make_verp(people_at(domain, 12))
    with net.working() as worker:
        run(worker)
    assert states() == {"failed": 12}
    one = Delivery.objects.all()[0]
    assert (one.code, one.enhanced) == (code, enhanced)
    assert domain in one.text


@pytest.mark.parametrize("way", ["dns", "connection"])
def test_domain_that_is_down_waits_alone(net: Net, way: str) -> None:
    fine = net.server()
    net.domain("fine.test", fine)
    net.domain("down.test", net.address(), net.address())
    if way == "dns":
        net.dns.fail("down.test", "SERVFAIL")
    make_verp(people_at("down.test", 300))
    make_verp(people_at("fine.test", 30))
    with net.working() as worker:
        run(worker)
    assert len(fine.recipients()) == 30
    assert states() == {"sent": 30, "queued": 300}
    waiting = Delivery.objects.waiting()
    assert {one.attempts for one in waiting} == {0}
    assert {one.destination for one in waiting} == {"down.test"}
    told = waiting.exclude(text="")[0]
    assert told.enhanced == ("4.4.3" if way == "dns" else "4.4.1")
    host = Destination.objects.get()
    assert (host.name, host.failures) == ("down.test", 1)
    assert host.backoff_until is not None
    assert host.backoff_until > timezone.now() + timedelta(seconds=200)


def test_domain_that_is_back_gets_what_waited(net: Net) -> None:
    address = net.address()
    net.domain("home.test", address)
    make_verp(people_at("home.test", 3))
    with net.working() as worker:
        run(worker)
        assert states() == {"queued": 3}
        with Sink(host=address, port=net.port) as server:
            retry()
            run(worker)
            server.wait_for(3)
    host = Destination.objects.get()
    assert (host.failures, host.backoff_until) == (0, None)


def test_crowd_at_one_domain_leaves_others_their_turn(net: Net) -> None:
    crowded, small = net.server(Script(latency=0.02)), net.server()
    net.domain("crowd.test", crowded)
    for at in range(20):
        net.domain(f"small{at}.test", small)
    make_verp(people_at("crowd.test", 2000))
    few = [(f"p@small{at}.test", at + 1) for at in range(20)]
    with net.working() as worker:
        post = threading.Thread(target=worker.serve, args=(5,))
        post.start()
        crowded.wait_for(100)
        make_verp(few)
        small.wait_for(20)
        behind = len(crowded.recipients())
        post.join()
    assert behind < 1000


def test_silent_servers_keep_nobody_waiting(net: Net) -> None:
    silent, fine = net.server(Script(greeting="")), net.server()
    for at in range(30):
        net.domain(f"silent{at}.test", silent)
        make_verp(people_at(f"silent{at}.test", 3))
    net.domain("fine.test", fine)
    make_verp(people_at("fine.test", 50))
    with net.working(connections=40) as worker:
        post = threading.Thread(target=worker.serve, args=(5,))
        post.start()
        fine.wait_for(50, 2)
        assert Destination.objects.count() == 0, "the silent ones still have time"
        post.join()


def test_fast_row_overtakes_a_thousand(net: Net) -> None:
    server = net.server(Script(latency=0.02))
    net.domain("home.test", server)
    make_verp(people_at("home.test", 1000))
    with net.working() as worker:
        post = threading.Thread(target=worker.serve, args=(4,))
        post.start()
        server.wait_for(20)
        make_outgoing([("olga@home.test", None)], lane=Outgoing.Lane.FAST)
        make_outgoing([("olga@other.test", None)], lane=Outgoing.Lane.FAST)
        while "olga@home.test" not in server.recipients():
            assert len(server.recipients()) < 700
        post.join()
    assert row("olga@other.test").state == "failed"


def test_connections_to_all_have_a_bound(net: Net) -> None:
    server = net.server(Script(latency=0.01))
    most = 0

    def look(_: object) -> None:
        nonlocal most
        most = max(most, len(server.open))

    server.on_message = look
    for at in range(40):
        net.domain(f"d{at}.test", server)
        make_verp(people_at(f"d{at}.test", 4))
    with net.working(connections=4) as worker:
        run(worker, 20)
    assert len(server.recipients()) == 160
    # As many work as may, as many rest, and some take leave.
    assert most <= 12


def test_connections_grow_with_what_is_taken(net: Net) -> None:
    server = net.server(Script(latency=0.02))
    net.domain("home.test", server)
    make_verp(people_at("home.test", 600))
    with net.working() as worker:
        run(worker, 20)
    assert states() == {"sent": 600}
    assert 5 < server.connections <= 21


def test_connection_is_used_again(net: Net) -> None:
    server = net.server()
    net.domain("home.test", server)
    with net.working() as worker:
        for at in range(5):
            make_verp([(f"p{at}@home.test", at + 1)])
            run(worker)
    assert server.connections == 1


def test_tls_is_taken_from_whoever_offers_it(net: Net, tmp_path: Path) -> None:
    # The certificate is neither of this name nor of anybody we know.
    server = net.server(Script(tls=server_context(tmp_path / "mx.pem")))
    net.domain("home.test", server)
    make_verp(people_at("home.test", 1))
    with net.working(tls=TLS.OPPORTUNISTIC) as worker:
        run(worker)
    assert states() == {"sent": 1}
    assert "STARTTLS" in server.commands


def test_address_literal_is_asked_directly(net: Net) -> None:
    server = net.server()
    make_outgoing([(f"sam@[{server.host}]", 1)])
    with net.working() as worker:
        run(worker)
    assert states() == {"sent": 1}
    assert not net.dns.asked


def test_private_servers_are_refused_unless_allowed(net: Net) -> None:
    server = net.server()
    net.domain("home.test", server)
    make_outgoing([("sam@home.test", 1), (f"sam@[{server.host}]", 2)])
    with net.working(may_be_private=False) as worker:
        run(worker)
    assert states() == {"failed": 2}
    assert server.connections == 0


def test_our_own_domain_goes_to_our_own_listener(net: Net) -> None:
    Domain.objects.create(name="lists.test")
    net.dns.add("lists.test", "MX", "10 mx.lists.test.")
    listener = net.server()
    make_outgoing([("talk@lists.test", 1)])
    ours = Hop(listener.host, listener.port, tls=TLS.NONE)
    with net.working(ours=ours) as worker:
        run(worker)
    assert listener.recipients() == ["talk@lists.test"]
    assert not net.dns.asked


def test_our_own_domain_without_a_listener_waits(net: Net) -> None:
    Domain.objects.create(name="lists.test")
    make_outgoing([("talk@lists.test", 1)])
    with net.working() as worker:
        run(worker)
    assert states() == {"queued": 1}
    assert "SMTP_BIND" in Destination.objects.get().last_failure


def test_frozen_rows_get_their_domain(net: Net) -> None:
    make_verp([])
    outgoing = Outgoing.objects.get()
    Delivery.objects.bulk_create(
        Delivery(
            outgoing=outgoing,
            address=f"sam@{name}",
            ref=1,
            destination=name,
            lane=1,
            state="cancelled",
            next_attempt_at=timezone.now(),
            updated_at=timezone.now(),
        )
        for name in ("home.test", "relay")
    )
    query = Delivery.objects.order_by().values_list("address", "pk", "destination")
    assert actions.freeze(outgoing, query.query.sql_with_params()) == 2
    frozen = Delivery.objects.waiting()
    assert {(one.address, one.destination) for one in frozen} == {
        ("sam@home.test", "home.test"),
        ("sam@relay", "relay."),
    }


def test_change_of_relay_moves_what_waits(net: Net, settings: Settings) -> None:
    settings.RELAY = "smart.test:25"
    make_outgoing([("sam@home.test", 1), ("mori@relay", 2), ("nick@home.test", 3)])
    Delivery.objects.filter(address="nick@home.test").update(
        lease=1, next_attempt_at=timezone.now() + timedelta(minutes=1)
    )
    settings.RELAY = "mx"
    with net.working() as worker:
        run(worker)
    assert states() == {"queued": 3}, "the name of the relay was taken for a domain"
    assert reroute({host.name for host in due.everything()}) == 2
    assert row("sam@home.test").destination == "home.test"
    assert row("mori@relay").destination == "relay."
    assert row("nick@home.test").destination == "relay"
    settings.RELAY = "smart.test:25"
    assert reroute({host.name for host in due.everything()}) == 2
    assert row("sam@home.test").destination == "relay"


def test_walk_goes_from_one_destination_to_the_next(net: Net) -> None:
    make_outgoing([(f"p{at}@{name}.test", at) for at in range(5) for name in "abc"])
    Delivery.objects.filter(destination="b.test").update(
        next_attempt_at=timezone.now() + timedelta(minutes=1)
    )
    Destination.objects.create(
        name="c.test", failures=1, backoff_until=timezone.now() + timedelta(minutes=1)
    )
    Domain.objects.create(name="a.test")
    found = due.walk()
    assert [host.name for host in found] == ["a.test", "b.test", "c.test"]
    assert [host.is_due for host in found] == [True, False, False]
    assert [host.has_failed for host in found] == [False, False, True]
    assert [host.is_ours for host in found] == [True, False, False]
    assert [host.name for host in due.walk("a.test", 1)] == ["b.test"]
    assert due.walk("c.test") == []
    assert due.fast() == []
    Delivery.objects.update(lane=0)
    assert [host.name for host in due.fast()] == ["a.test"]
