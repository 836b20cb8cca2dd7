"""Whose turn it is: nobody waits for somebody else's crowd."""

from __future__ import annotations

from collections import Counter

from smtpd.queue.rota import BULK, FAST, Rota, Turn

BATCH = 50


def room(_: str) -> int:
    return BATCH


def serve(rota: Rota, due: Counter[str]) -> list[str]:
    """One claim: who got rows, in order; what is due becomes less."""
    turns, left = rota.turns(room, BATCH), BATCH
    got: Counter[str] = Counter()
    for turn in turns:
        count = min(due[turn.destination], turn.limit, left)
        got[turn.destination] += count
        left -= count
    due.subtract(got)
    rota.served(turns, got, BATCH)
    return [turn.destination for turn in turns if got[turn.destination]]


def test_one_alone_gets_a_whole_claim() -> None:
    rota = Rota()
    rota.add(["home"])
    assert rota.turns(room, BATCH) == [Turn("home", BULK, BATCH)]


def test_a_crowd_gets_its_share_and_goes_to_the_end() -> None:
    rota = Rota()
    due = Counter({"crowd": 1000} | {f"d{at:02}": 2 for at in range(60)})
    rota.add(sorted(due))
    rounds = 0
    while any(due[f"d{at:02}"] for at in range(60)):
        serve(rota, due)
        rounds += 1
    assert rounds <= 5
    assert due["crowd"] < 1000


def test_everybody_is_served_and_the_circle_ends() -> None:
    rota = Rota()
    due = Counter({"a": 120, "b": 3, "c": 57})
    rota.add(due)
    while rota:
        serve(rota, due)
    assert not +due


def test_who_was_not_reached_keeps_his_place() -> None:
    rota = Rota()
    due = Counter(dict.fromkeys("abcdefgh", 20))
    rota.add(sorted(due))
    assert serve(rota, due) == ["a", "b", "c", "d", "e"]
    assert serve(rota, due) == ["f", "g", "h", "a", "b"]


def test_the_hurried_come_first() -> None:
    rota = Rota()
    rota.add(["a", "b"])
    rota.hurry(["b", "c"])
    assert [turn.destination for turn in rota.turns(room, BATCH)] == ["b", "c", "a"]


def test_without_room_only_the_fast_lane_is_served() -> None:
    rota = Rota()
    rota.add(["a", "b"])
    rota.hurry(["b"])
    (turn,) = rota.turns(lambda name: 0, BATCH)
    assert (turn.destination, turn.lane) == ("b", FAST)
    rota.served([turn], Counter(b=1), BATCH)
    assert rota.turns(lambda name: 0, BATCH) == []
    assert list(rota) == ["a", "b"], "its other rows still wait"


def test_who_is_dropped_has_no_turn() -> None:
    rota = Rota()
    rota.add(["a"])
    rota.hurry(["a"])
    rota.drop("a")
    assert not rota
