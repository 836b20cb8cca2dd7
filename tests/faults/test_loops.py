"""F42: mail that leads back to where it came from, between two sites."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.load import SENDER, Load, Submission
from tests.faults.loops import (
    BEYOND,
    DESK,
    ECHO,
    GONE,
    LOST,
    MIRROR,
    NAMES,
    NOBODY,
    OVER,
    RING,
    SELF,
    TENNIS,
    THERE,
    Mirror,
    two_sites,
)
from tests.faults.places import DOMAIN as HERE
from tests.faults.places import Place
from tests.faults.reconcile import Report, reconcile
from tests.faults.scene import Scene, seconds
from tests.faults.test_remote import hurry
from tests.sink import Received, Sink
from tests.stack import Stack, wait_until

SENDERS = (SENDER, "", f"dead@{THERE}")
# What must have been there, however short a storm is.
EACH = (
    *((place, SENDER) for place in (SELF, RING, ECHO, TENNIS, DESK)),
    (LOST, ""),
    (LOST, f"dead@{THERE}"),
)
LISTS = {ECHO.address, TENNIS.address}
# On the usual lists, one of them behind an alias.
LISTENERS = frozenset(
    f"{name}{number}@people.test"
    for name in ("pair", "crew", "crowd", "town")
    for number in range(200)
)
# RFC 5321 6.3; a loop that leaves no other mark ends there.
MOST_HOPS = 100
STORED = """
SELECT reverse_path, forward_paths, raw FROM smtpd_message
WHERE source = 'smtp' AND helo = %s
"""
REPORTS = "SELECT msg_id FROM smtpd_message WHERE source = 'site'"
ANSWERED = """
SELECT count(*) FROM smtpd_report AS report
JOIN smtpd_message AS message ON message.id = report.message_id
WHERE message.reverse_path = ''
"""
ENDED = """
SELECT count(*) FROM smtpd_delivery AS delivery
JOIN smtpd_outgoing AS outgoing ON outgoing.id = delivery.outgoing_id
WHERE delivery.address = %s AND delivery.state = 'failed' AND delivery.enhanced = %s
"""
UNANSWERED = f"{ENDED} AND outgoing.envelope = 'fixed' AND outgoing.reverse_path = ''"
DROPPED = "SELECT count(*) FROM smtpd_event WHERE kind = 'discarded'"
MESSAGES = "SELECT count(*) FROM smtpd_message"


@pytest.mark.brief
def test_f42_what_leads_back_comes_to_an_end(seed: int) -> None:
    with two_sites(seed) as (here, there, mirror):
        with pytest.raises(AssertionError, match="lead back"):
            here.stack.manage("addalias", f"a@{HERE}", f"two@{HERE}")
        first = [sent for each in enumerate(EACH) for sent in one(here, *each)]
        with here.load(pace=0.4, senders=SENDERS) as load, here.telling(load):
            time.sleep(seconds(seed, 8, 25))
            load.stop()
        with here.telling(load), there.telling(load):
            wait_until(still(here, there), 240, "nothing moves any more")
            judge(here, there, mirror, load.all() + first)


def one(here: Scene, number: int, told: tuple[Place, str]) -> list[Submission]:
    """Have a message go to this place and from this sender."""
    place, sender = told
    with Load(
        here.stack.smtp_port,
        [place],
        seed=1000 * (number + 1) + here.seed,
        clients=1,
        pace=60,
        senders=[sender],
    ) as load:
        wait_until(load.promised, 30, f"one goes to {place.address}")
    return load.all()


def still(here: Scene, there: Scene) -> Callable[[], bool]:
    """Whether nothing is under way, and nothing has come since it was asked last."""
    sites, before = (here, there), -1

    def ask() -> bool:
        nonlocal before
        is_quiet = all(map(hurry, (*sites, *sites)))
        count = sum(one.stack.count(MESSAGES) for one in sites)
        is_still, before = count == before, count
        return is_quiet and is_still

    return ask


def judge(here: Scene, there: Scene, mirror: Mirror, sent: list[Submission]) -> None:
    """Compare each site's ledger with what came from it, and count the rounds."""
    at_home = [replace(each, places=places_here(each)) for each in sent]
    abroad = [replace(each, places=places_there(each)) for each in sent]
    stacks = (here.stack, there.stack)
    reports = [bare(name) for one in stacks for (name,) in one.rows(REPORTS)]
    behind_dead = Place(f"dead@{THERE}", 1, NOBODY, frozenset({GONE[1]}))
    abroad += [
        Submission(name, places=[behind_dead], is_sent=True, code=250)
        for name in reports
    ]
    checked = (
        check(here, at_home, HERE, here.sink, stacks),
        check(there, abroad, THERE, here.sink, stacks),
    )
    for report in checked:
        assert report.doubled == report.ambiguous == 0, str(report)
    stopped(here, there)
    # It had no mark but our Received fields.
    assert [code for code, _ in mirror.ends] == [550], mirror.ends
    for copy in here.sink.messages:
        most = MOST_HOPS if MIRROR in copy.recipients else 4
        assert len(re.findall(rb"(?im)^Received:", copy.raw)) <= most, copy.recipients


def check(
    site: Scene,
    sent: list[Submission],
    domain: str,
    sink: Sink,
    stacks: tuple[Stack, ...],
) -> Report:
    """Everything that left one site arrived at the sink, or at either site."""
    name = NAMES[domain]
    copies = [copy for copy in sink.messages if copy.helo == name]
    stored = [row for one in stacks for row in one.rows(STORED, name)]
    for sender, to, raw in stored:
        paths = json.loads(to) if isinstance(to, str) else to
        copy = Received(sender, tuple(paths), bytes(raw), b"", 0, "", 0.0, name)
        copies.append(copy)
    report = reconcile(site.stack, sent, copies, excuses=frozenset({"failed"}))
    assert not report.trouble, f"{domain}: {report}"
    return report


def places_here(sent: Submission) -> list[Place]:
    """Lists take nothing from the null path; all else goes on."""
    return [
        replace(place, owed=place.owed - LISTENERS if not sent.sender else place.owed)
        if place.address not in OVER
        else replace(place, may=place.may | {OVER[place.address]})
        for place in sent.places
        if sent.sender or place.address not in LISTS
    ]


def places_there(sent: Submission) -> list[Place]:
    """Who gets a copy from the other site, and whom it tries."""
    return [
        Place(place.address, 1, BEYOND[place.address][0], frozenset({back}))
        for place in places_here(sent)
        if place.address in BEYOND
        for back in [BEYOND[place.address][1]]
    ]


def stopped(here: Scene, there: Scene) -> None:
    """Each loop was there, and is over; nobody was answered who has no address."""
    for address in (f"ping@{HERE}", f"echo@{HERE}", f"desk-owner@{HERE}"):
        assert there.stack.count(ENDED, address, "5.4.6"), address
    assert here.stack.count(DROPPED), "no post came back from the other list"
    assert here.stack.count(UNANSWERED, GONE[0], "5.1.1")
    assert there.stack.count(UNANSWERED, GONE[1], "5.1.1"), "a bounce of a bounce"
    for one in (here, there):
        assert not one.stack.count(ANSWERED), "the null path was answered"


def bare(msg_id: str) -> str:
    return msg_id.strip("<>").removesuffix("@load.test")
