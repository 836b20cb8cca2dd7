"""Mail that flows while things break, and a log of what was promised for it.

with Load(port, places, seed=7) as load:
    ...  # the storm
load.promised()
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.faults.client import Client, Gone, stuffed
from tests.faults.places import Place, choose

DOT = b".\r\n"
SENDER = "sam@example.org"
_REST = 0.2


@dataclass
class Submission:
    """One message, and how far it came."""

    key: str
    sender: str = ""
    # Where RCPT was answered with 250, and who is owed a copy then.
    places: list[Place] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    # Whether the last octet of the message may have left us.
    is_sent: bool = False
    # The reply that decided; None: none came.
    code: int | None = None
    text: str = ""
    ended: float = 0.0

    @property
    def owed(self) -> frozenset[str]:
        """Everybody who must get a copy if it was promised."""
        return frozenset().union(*(place.owed for place in self.places))

    @property
    def allowed(self) -> frozenset[str]:
        """Everybody who may get one."""
        return self.owed.union(*(place.may for place in self.places))

    @property
    def is_promised(self) -> bool:
        """The server said 250 after the dot: it is theirs."""
        return self.is_sent and self.code == 250

    @property
    def is_open(self) -> bool:
        """Sent, and neither taken nor refused by a rule: may arrive or not.

        A 4xx after the dot is one of these: a commit whose answer is lost may
        have happened.
        """
        return self.is_sent and (self.code is None or 400 <= self.code < 500)

    def end(self, code: int | None, text: str) -> None:
        """Note the last word on it."""
        self.code, self.text, self.ended = code, text, time.monotonic()


# Called when the dot is sent, before its reply is read, and once that was read.
Hook = Callable[[Submission], None]


def nothing(submission: Submission) -> None:
    """Do nothing."""


class Load:
    """Clients that send until they are told to stop; a context manager."""

    def __init__(
        self,
        port: int,
        places: Sequence[Place],
        *,
        seed: int,
        clients: int = 4,
        pace: float = 0.1,
        dawdle: float = 0.0,
        others: Sequence[int] = (),
        senders: Sequence[str] = (SENDER,),
        after_dot: Hook = nothing,
        after_reply: Hook = nothing,
    ) -> None:
        self.port, self.places, self.pace = port, places, pace
        # Further listeners: the clients are shared among all of them.
        self.ports = (port, *others)
        # Reverse-paths; the null one is "".
        self.senders = senders
        # Seconds at most that a client rests in the middle of a message.
        self.dawdle = dawdle
        self.after_dot, self.after_reply = after_dot, after_reply
        # Each client appends to its own.
        self._logs: list[list[Submission]] = [[] for _ in range(clients)]
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._send_for_ever,
                args=(f"s{seed}c{n}", self.ports[n % len(self.ports)], log),
                daemon=True,
            )
            for n, log in enumerate(self._logs)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client end its message, then return."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def all(self) -> list[Submission]:
        """Everything that was begun."""
        return [submission for log in self._logs for submission in list(log)]

    def promised(self) -> list[Submission]:
        """Everything that was answered with 250."""
        return [submission for submission in self.all() if submission.is_promised]

    def _send_for_ever(self, name: str, port: int, log: list[Submission]) -> None:
        chance = random.Random(name)
        while not self._is_over.is_set():
            try:
                with Client(port) as client:
                    self._session(client, name, log, chance)
            except Gone:
                self._is_over.wait(_REST)

    def _session(
        self, client: Client, name: str, log: list[Submission], chance: random.Random
    ) -> None:
        """Some messages on one connection."""
        if client.hello()[0] != 250:
            return
        for _ in range(chance.randrange(1, 20)):
            if self._is_over.is_set():
                break
            sender = chance.choice(self.senders)
            submission = Submission(f"{name}n{len(log)}", sender)
            log.append(submission)
            self._submit(client, submission, chance)
            if submission.code == 421:
                return
            self._is_over.wait(chance.uniform(0, 2 * self.pace))
        client.ask("QUIT")

    def _submit(
        self, client: Client, submission: Submission, chance: random.Random
    ) -> None:
        try:
            code, text = self._transaction(client, submission, chance)
        except Gone as error:
            submission.end(None, str(error))
            raise
        submission.end(code, text)
        self.after_reply(submission)
        if code >= 400 and code != 421:
            self._is_over.wait(_REST)
            client.ask("RSET")

    def _transaction(
        self, client: Client, submission: Submission, chance: random.Random
    ) -> tuple[int, str]:
        """Send one message; return the reply that decided."""
        reply = client.ask(f"MAIL FROM:<{submission.sender}>")
        if reply[0] != 250:
            return reply
        for place in choose(self.places, chance):
            reply = client.ask(f"RCPT TO:<{place.address}>")
            if reply[0] == 250:
                submission.places.append(place)
        if not submission.places:
            return reply
        reply = client.ask("DATA")
        if reply[0] != 354:
            return reply
        content = stuffed(message(submission.key, chance))
        half = len(content) // 2
        client.write(content[:half])
        if self.dawdle:
            self._is_over.wait(chance.uniform(0, self.dawdle))
        client.write(content[half:])
        submission.is_sent = True
        client.write(DOT)
        self.after_dot(submission)
        return self.last_word(client, chance)

    def last_word(self, client: Client, chance: random.Random) -> tuple[int, str]:
        """Read the reply to the dot; others hang up instead."""
        return client.read()


def message(key: str, chance: random.Random) -> bytes:
    """A plain message of 1 to 100 KB, most of them small."""
    lines = int(chance.paretovariate(1.2) * 12)
    line = "The same old story, told again to whoever will listen to it.\r\n"
    head = (
        f"From: Sam <sam@example.org>\r\nTo: everybody\r\nSubject: Story {key}\r\n"
        f"Message-ID: <{key}@load.test>\r\n"
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n"
    )
    return (head + line * min(lines, 1600) + ".with a dot\r\n").encode()
