from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.letters import letter, load
from bench.sinks import Sinks

MAIL = b"MAIL FROM:<olga@example.org>\r\n"
RCPT = b"RCPT TO:<sam@example.org>\r\nRCPT TO:<mori@example.org>\r\n"
# Dots where a careless reader sees the end.
BODY = b".\r\n..\r\n\r\n..x\r\n\r\n.x\r\nDATA\r\nMAIL FROM\r\n.\r\n"
TALK = (
    b"EHLO a.test\r\n"
    + (MAIL + RCPT + b"DATA\r\n" + letter("dogs@lists.localhost", 7) + b".\r\n")
    + (MAIL + RCPT + b"DATA\r\n" + b"x\r\n" + BODY[5:])
    + b"QUIT\r\n"
)


@contextmanager
def talking(sinks: Sinks) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", sinks.port), 10) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield peer


def replies(sinks: Sinks, pieces: list[bytes]) -> list[bytes]:
    """The first three octets of each reply, to the end of the connection."""
    with talking(sinks) as peer:
        for piece in pieces:
            peer.sendall(piece)
        heard = b"".join(iter(lambda: peer.recv(65536), b""))
    lines = heard.split(b"\r\n")[:-1]
    return [line[:3] for line in lines if line[3:4] == b" "]


@pytest.mark.parametrize("size", [len(TALK), 1, 2, 3, 7, 50, 1000])
def test_a_pipelining_client_is_answered_whatever_the_chunks(size: int) -> None:
    pieces = [TALK[at : at + size] for at in range(0, len(TALK), size)]
    with Sinks(told=["--by-post"]) as sinks:
        found = replies(sinks, pieces)
        counts, post = sinks.counts(), sinks.post(7)
    once = [b"250", b"250", b"250", b"354", b"250"]
    assert found == [b"220", b"250", *once, *once, b"221"]
    assert (counts.messages, counts.copies, counts.refused) == (2, 4, 0)
    assert counts.octets == len(TALK)
    assert post[0] == 2
    assert 0 < post[1] == counts.first <= counts.last


def test_it_refuses_as_told_and_ends_after_421() -> None:
    told = ["--say", "RCPT=550 5.1.1 no", "--say", "RSET=421 4.3.0 enough"]
    with Sinks(told=told) as sinks:
        talk = MAIL + RCPT + b"DATA\r\nRSET\r\nNOOP\r\n"
        found = replies(sinks, [talk])
        counts = sinks.counts()
    assert found == [b"220", b"250", b"550", b"550", b"554", b"421"]
    assert (counts.copies, counts.refused) == (0, 2)


def test_a_share_of_recipients_is_refused() -> None:
    talk = (MAIL + RCPT * 500 + b"DATA\r\n.\r\nQUIT\r\n",)
    with Sinks(told=["--chance", "RCPT=450:0.5"]) as sinks:
        found = replies(sinks, list(talk))
        counts = sinks.counts()
    assert counts.copies == found.count(b"250") - 2
    assert counts.refused == found.count(b"450")
    assert counts.copies + counts.refused == 1000
    # Fewer than 350 of 1,000 tosses: not in this world, and the seed is fixed.
    assert min(counts.copies, counts.refused) > 350


def test_two_processes_count_together_and_forget() -> None:
    talk = MAIL + RCPT + b"DATA\r\nx\r\n.\r\nQUIT\r\n"
    with Sinks(2) as sinks:
        for _ in range(8):
            replies(sinks, [talk])
        assert sinks.counts().copies == 16
        sinks.forget()
        assert sinks.counts().copies == 0
        assert sinks.counts().last == 0


def test_the_same_seed_is_the_same_load() -> None:
    assert load(10, 20) == load(10, 20)
    assert load(10, 20) != load(10, 20, seed=1)
    assert load(10, 20).copies == sum(
        load(10, 20).lists[a] for a, _ in load(10, 20).posts
    )
