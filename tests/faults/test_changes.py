"""F41: lists and aliases are changed and deleted while their mail is on its way."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from tests.faults.load import Load
from tests.faults.pages import Visitor
from tests.faults.places import DOMAIN, Place, call, founding, people
from tests.faults.scene import Scene, scene, seconds, store
from tests.faults.storm import Blow, plan
from tests.faults.test_remote import settle
from tests.sink import Script, Sink
from tests.stack import ALL, wait_until

OWNER = "olga@example.org"
CLUB = Place(f"club@{DOMAIN}", 15, people("club", 40))
SHIFTING = Place(f"shifting@{DOMAIN}", 12, frozenset())
# The alias's targets at first.
FIRST = people("shift0x", 3)
# Its posters are unknown: a moderator would have to look.
SHUT = Place(f"shut@{DOMAIN}", 4, frozenset())
DOOMED = [
    Place(f"doomed{number}@{DOMAIN}", 8, people(f"doomed{number}x", 20))
    for number in range(2)
]
# What the supervisor gives it for the task in hand.
GRACE = 60
NOT_NOW = "451 4.3.0 not now"
MEMBER = """
SELECT subscription.id FROM lists_subscription AS subscription
JOIN lists_subscriber AS subscriber ON subscriber.id = subscription.subscriber_id
WHERE subscriber.address = %s
"""
# When the recipients of each post of the club were written down.
FROZEN = """
SELECT post.msg_id, post.fanned_out_at FROM lists_post AS post
JOIN lists_mailinglist AS list ON list.id = post.mailing_list_id
JOIN smtpd_address AS address ON address.id = list.address_id
WHERE address.local_part = 'club'
"""
WITHDRAWN = """
SELECT message.msg_id FROM smtpd_message AS message
JOIN smtpd_event AS event ON event.message_id = message.id
WHERE event.kind = 'cancelled'
"""


@dataclass
class Span:
    """What held for a while: from when at the earliest and for sure, and until."""

    who: frozenset[str]
    begins: tuple[float, float]
    ends: tuple[float, float] = (float("inf"), float("inf"))

    def throughout(self, first: float, last: float) -> bool:
        """Certainly all the time."""
        return self.begins[1] <= first and last <= self.ends[0]

    def touches(self, first: float, last: float) -> bool:
        """At some moment, perhaps."""
        return self.begins[0] <= last and first <= self.ends[1]


@dataclass
class Story:
    """What the owner did, and when."""

    stage: Scene
    owner: Visitor
    load: Load
    guests: list[Span] = field(default_factory=list)
    targets: list[Span] = field(default_factory=list)
    # That were started so far.
    workers: int = 1
    doomed: list[Place] = field(default_factory=lambda: [*DOOMED, SHUT])

    def submit(self, path: str, **fields: str) -> tuple[float, float]:
        """Send a form; between which moments it came true."""
        before = time.monotonic()
        self.owner.submit(path, **fields)
        return before, time.monotonic()

    def join(self, blow: Blow) -> None:
        """Somebody is put on the list."""
        guest = f"guest{len(self.guests)}@people.test"
        path = f"/lists/{CLUB.address}/members/add/"
        span = self.submit(path, address=guest, name="", role="member")
        self.guests.append(Span(frozenset({guest}), span))

    def leave(self, blow: Blow) -> None:
        """Somebody is taken off again."""
        there = [span for span in self.guests if span.ends[0] == float("inf")]
        if not there:
            return self.join(blow)
        guest = self.stage.chance.choice(there)
        [(number,)] = self.stage.stack.rows(MEMBER, *guest.who)
        path = f"/lists/{CLUB.address}/members/remove/"
        guest.ends = self.submit(path, members=str(number), sure="1")
        return None

    def shift(self, blow: Blow) -> None:
        """The alias gets other targets, while mail for the old ones is tried again."""
        old, number = self.targets[-1], len(self.targets)
        script = self.stage.sink.script
        script.rcpt.update(dict.fromkeys(old.who, NOT_NOW))
        time.sleep(blow.lasts)
        new = people(f"shift{number}x", 3)
        told = {"targets": "\n".join(sorted(new)), "description": "", "last_day": ""}
        old.ends = self.submit(f"/aliases/{SHIFTING.address}/", **told)
        self.targets.append(Span(new, old.ends))

    def has_mail(self, place: Place) -> bool:
        """Whether something was promised to it."""
        return any(place in sent.places for sent in self.load.promised())

    def delete(self, blow: Blow) -> None:
        """A list goes that has posts without copies, and copies tried in vain."""
        if not self.doomed:
            return
        place = self.doomed.pop()
        wait_until(lambda: self.has_mail(place), 20, f"mail for {place.address}")
        some = sorted(place.owed)[::2]
        self.stage.sink.script.rcpt.update(dict.fromkeys(some, NOT_NOW))
        time.sleep(blow.lasts)
        stack = self.stage.stack
        # One that has just begun does not hear yet.
        log = stack.log("worker")
        ready = " ready."
        wait_until(lambda: log.read_text().count(ready) >= self.workers, 60, "a worker")
        assert stack.stop("worker", GRACE) == 0
        time.sleep(1 + blow.lasts)
        self.submit(f"/lists/{place.address}/delete/", address=place.address)
        stack.start("worker")
        self.workers += 1


@pytest.mark.brief
def test_f41_who_was_there_gets_what_was_taken(seed: int) -> None:
    sink = Sink(Script(latency=0.01))
    with scene(store(seed), seed, parts=ALL, sink=sink) as stage:
        load = begin(stage)
        story = Story(
            stage, Visitor(stage.stack, OWNER), load, targets=[Span(FIRST, (0.0, 0.0))]
        )
        how = {
            "join": story.join,
            "leave": story.leave,
            "shift": story.shift,
            "delete": story.delete,
        }
        kinds = dict.fromkeys(how, (0.0, 0.6))
        blows = plan(seed, seconds(seed, 10, 40), kinds, every=(0.1, 1.5))
        blows += [Blow(blows[-1].at, "delete", 0.3) for _ in story.doomed]
        with load:
            stage.storm(load, blows, how)
        stage.sink.script.rcpt.clear()
        owe(story, load)
        report = settle(stage, load)
        assert report.doubled == report.ambiguous == 0, str(report)
        with stage.telling(load):
            one_set_of_targets(story, load)
            said_of_the_held(stage, load)


def begin(stage: Scene) -> Load:
    """Found what will be changed; the mail that will come there meanwhile."""
    stack = stage.stack
    commands = [f"'addalias', {SHIFTING.address!r}, *{sorted(FIRST)}"]
    for place in (CLUB, *DOOMED):
        commands += founding(stack, place.address, place.owed)
    settings = ("posters=members", "others=hold")
    commands += founding(stack, SHUT.address, (), *settings)
    call(stack, commands)
    stage.places = [*stage.places, CLUB, SHIFTING, SHUT, *DOOMED]
    return stage.load(pace=0.4)


def owe(story: Story, load: Load) -> None:
    """Say of each message who was there when it came, and who perhaps."""
    frozen = {bare(name): at for name, at in story.stage.stack.rows(FROZEN)}
    for sent in load.all():
        last = monotonic(frozen[sent.key]) if frozen.get(sent.key) else float("inf")
        sent.places = [
            {
                CLUB.address: with_spans(CLUB, story.guests, sent.began, last),
                SHIFTING.address: with_spans(
                    SHIFTING, story.targets, sent.began, sent.ended
                ),
            }.get(place.address, place)
            for place in sent.places
        ]


def with_spans(place: Place, spans: list[Span], first: float, last: float) -> Place:
    """Who is behind it between these moments, for sure and perhaps."""
    sure = [span.who for span in spans if span.throughout(first, last)]
    perhaps = [span.who for span in spans if span.touches(first, last)]
    owed = place.owed.union(*sure)
    return replace(place, owed=owed, may=frozenset().union(*perhaps))


def one_set_of_targets(story: Story, load: Load) -> None:
    """The old ones or the new ones: never some of both, and never nobody."""
    got: dict[str, set[str]] = {}
    for copy in story.stage.sink.messages:
        for key in keys_of(copy.raw):
            got.setdefault(key, set()).update(copy.recipients)
    for sent in load.promised():
        if any(place.address == SHIFTING.address for place in sent.places):
            reached = [s.who for s in story.targets if s.who & got.get(sent.key, set())]
            assert len(reached) == 1, f"{sent.key}: {reached}"
            assert reached[0] <= got[sent.key], f"{sent.key}: {reached}"


def said_of_the_held(stage: Scene, load: Load) -> None:
    """Nobody gets what waited for a moderator, and the trace says why."""
    held = [sent for sent in load.promised() if SHUT in sent.places]
    assert held, "nothing was held: this proves nothing"
    withdrawn = {bare(name) for (name,) in stage.stack.rows(WITHDRAWN)}
    assert {sent.key for sent in held} == withdrawn
    told = stage.stack.manage("trace", f"<{held[0].key}@load.test>", "--json")
    [story, *_] = json.loads(told)
    assert "was deleted" in " ".join(event["text"] for event in story["events"])


def keys_of(raw: bytes) -> list[str]:
    """The load's name of a message."""
    head = raw.partition(b"\r\n\r\n")[0].decode()
    lines = [line for line in head.split("\r\n") if line.startswith("Message-ID: <")]
    return [bare(line.removeprefix("Message-ID: ")) for line in lines]


def bare(msg_id: str) -> str:
    return msg_id.strip("<>").removesuffix("@load.test")


def monotonic(at: datetime | str) -> float:
    """A moment of the database by the clock of the load."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return at.timestamp() - time.time() + time.monotonic()
