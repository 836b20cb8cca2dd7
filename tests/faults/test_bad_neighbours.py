"""F27: servers that are dead, slow or hostile, and mail to all the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.dns import SILENCE, Dns
from tests.faults.load import Load
from tests.faults.places import DOMAIN, Place, call, founding
from tests.faults.scene import Scene, scene, seconds, store
from tests.faults.test_remote import hurry
from tests.sink import Script, Sink
from tests.stack import free_port, wait_until

GREETING = "220 sink ESMTP"
# What each domain's server does; of some there is none, or nobody knows.
BAD = {
    "hole.test": Script(greeting=""),
    "slow.test": Script(latency=2.0),
    "rude.test": Script(greeting="421 4.7.0 go away"),
    "babble.test": Script(raw_dot=b"250-" + b"x" * 100_000),
    "drop.test": Script(drop={"DOT": 1_000_000}),
    "no.test": Script(verbs={"MAIL": "451 4.3.0 not now"}),
}
DEAD, SILENT, GOOD = "dead.test", "silent.test", "good.test"
# A post to everybody goes to some people of each.
EVERYWHERE = Place(
    f"everywhere@{DOMAIN}",
    15,
    frozenset(
        f"member{number}@{domain}"
        for domain in (*BAD, DEAD, SILENT, GOOD)
        for number in range(4)
    ),
)
LEFT = """
SELECT (SELECT count(*) FROM smtpd_delivery
        WHERE state = 'queued' AND destination IN ('people.test', 'good.test'))
 + (SELECT count(*) FROM lists_post
    WHERE state = 'accepted' AND fanned_out_at IS NULL)
"""
WAITING = "SELECT count(*) FROM smtpd_delivery WHERE state = 'queued' AND"
# Two processes: each tries once somebody who has never answered.
MOST_TRIES = 2


@contextmanager
def world(seed: int) -> Iterator[tuple[Scene, dict[str, Sink], Dns, ExitStack]]:
    """A site that sends to each domain's own server, and these servers."""
    port = free_port()
    env = {
        "RELAY": "mx",
        "RELAY_TLS": "none",
        "MX_PORT": str(port),
        "MX_PRIVATE": "1",
    }
    with ExitStack() as stack:
        dns = stack.enter_context(Dns())
        hosts = (f"127.0.0.{number}" for number in range(2, 100))
        fine = Sink(host=next(hosts), port=port)
        servers = {}
        for name, script in BAD.items():
            sink = Sink(script_of(script), host=next(hosts), port=port)
            servers[name] = stack.enter_context(sink)
            dns.add(name, "A", sink.host)
        for name in ("people.test", GOOD):
            dns.add(name, "A", fine.host)
        servers[DEAD] = Sink(host=next(hosts), port=port)
        dns.add(DEAD, "A", servers[DEAD].host)
        dns.add(SILENT, "A", fine.host)
        dns.fail(SILENT, SILENCE)
        env["DNS_SERVER"] = dns.address
        stage = stack.enter_context(scene(store(seed), seed, env=env, sink=fine))
        stage.sinks += servers.values()
        yield stage, servers, dns, stack


def script_of(model: Script) -> Script:
    """One of its own: a sink uses its script up."""
    return Script(
        greeting=model.greeting,
        latency=model.latency,
        raw_dot=model.raw_dot,
        drop=dict(model.drop),
        verbs=dict(model.verbs),
    )


@pytest.mark.brief
def test_f27_bad_servers_keep_no_good_mail_waiting(seed: int) -> None:
    with world(seed) as (stage, servers, dns, stack):
        crowd = furnish(stage, 5000 if seed else 500)
        port = stage.stack.smtp_port
        # One large post stands before all others.
        with Load(port, [crowd], seed=1000 + seed, clients=1, pace=60) as first:
            wait_until(first.promised, 30, "the large post is taken")
        with stage.load(pace=0.4) as load, stage.telling(load):
            time.sleep(seconds(seed, 8, 25))
            load.stop()
            # Within the five minutes for which a greeting is waited for.
            wait_until(lambda: not stage.stack.count(LEFT), 30, "good mail is sent")
            hold(stage, servers, crowd)
            heal(stage, servers, dns, stack)
            wait_until(lambda: hurry(stage), 240, "all at an end")
        report = stage.settle(load, first, most_doubled=None)
        assert report.promised == len(load.all()) + len(first.all()), str(report)
        # Twice is what some server did not confirm.
        unsure = {"babble.test", "drop.test"}
        doubtful = sum(len(servers[name].recipients()) for name in unsure)
        owed = sum(
            to.rpartition("@")[2] in unsure
            for submission in load.promised()
            for to in submission.owed
        )
        assert report.doubled == doubtful - owed, str(report)


def furnish(stage: Scene, count: int) -> Place:
    """Found a list for everywhere, and one of a crowd at the black hole."""
    people = frozenset(f"crowd{number}@hole.test" for number in range(count))
    crowd = Place(f"hole@{DOMAIN}", 1, people)
    places = (EVERYWHERE, crowd)
    founded = [founding(stage.stack, place.address, place.owed) for place in places]
    call(stage.stack, [command for commands in founded for command in commands])
    stage.places = [*stage.places, EVERYWHERE]
    return crowd


def hold(stage: Scene, servers: dict[str, Sink], crowd: Place) -> None:
    """The bad ones are as bad as ever, and were not run down."""
    hole = servers["hole.test"]
    assert hole.open, "it hangs still"
    assert not hole.messages
    waits = f"{WAITING} attempts <= 1 AND address LIKE 'crowd%@hole.test'"
    assert stage.stack.count(waits) == len(crowd.owed)
    assert hole.connections <= MOST_TRIES, f"{hole.connections} connections"
    for name in ("rude.test", "no.test", DEAD, SILENT):
        assert stage.stack.count(f"{WAITING} destination = %s", name)
    for name in ("rude.test", "no.test", DEAD):
        assert not servers[name].messages


def heal(stage: Scene, servers: dict[str, Sink], dns: Dns, stack: ExitStack) -> None:
    """Everybody is well again."""
    for sink in servers.values():
        script = sink.script
        script.greeting, script.latency, script.raw_dot = GREETING, 0.0, b""
        script.drop, script.verbs = {}, {}
    stack.enter_context(servers[DEAD])
    dns.heal(SILENT)
    # Who was never greeted waits on.
    servers["hole.test"].hang_up()
