"""Any command in any state, raw octets, and a site that fails: what always holds.

- Nothing of ours that fails is a 5xx, and no reply tells what failed.
- A well-formed line gets one reply, or the session is over.
- Nothing is stored that was not answered with 250, nor the other way round.
- What is kept of the client is bounded.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from smtpd import replies
from smtpd.listener.limits import Limits
from smtpd.listener.policies import Policy
from smtpd.listener.requests import (
    Authenticate,
    CheckSender,
    Client,
    Close,
    Decide,
    Expand,
    Forget,
    Keep,
    Kind,
    More,
    Pause,
    Send,
    StartTLS,
    Store,
    Transaction,
    Verify,
)
from smtpd.listener.requests import Client as SmtpClient
from smtpd.listener.service import Service
from smtpd.listener.session import Session
from smtpd.paths import Path as MailPath
from smtpd.replies import Reply
from tests.smtpd.listening import Running, listening, until
from tests.smtpd.staging import SMALL, Person

LIMITS = replace(SMALL, errors=30, idle_commands=60, refusals=20, free_refusals=5)
TROUBLE = replies.TEMP_TROUBLE.fill(id="0")
MOODS = ["yes", "yes", "no", "trouble"]
REPLY = re.compile(rb"[2-5][0-9]{2}[ -][\x20-\x7e]*")

COMMANDS = [
    *(
        b"EHLO c.test",
        b"HELO c.test",
        b"LHLO c.test",
        b"EHLO",
        b"NOOP",
        b"RSET",
        b"HELP",
    ),
    *(b"MAIL FROM:<a@c.test>", b"MAIL FROM:<>", b"MAIL FROM:<a@c.test> SIZE=9999"),
    *(b"MAIL FROM:<a@c.test> BODY=8BITMIME SMTPUTF8", b"MAIL FROM:junk", b"MAIL"),
    *(b"RCPT TO:<a@l.test>", b"RCPT TO:<b@l.test>", b"RCPT TO:<a@l.test> NOTIFY=NEVER"),
    *(b"RCPT TO:<postmaster>", b"RCPT TO:<>", b"RCPT TO:<a@l.test> X=Y", b"RCPT"),
    *(b"VRFY sam", b"EXPN talk", b"STARTTLS", b"STARTTLS now", b"TURN", b"QUIT now"),
    *(b"DATA", b"DATA now", b"BDAT", b"BDAT x", b"BDAT 1 LAST now", b"X" * 600),
    *(b"AUTH PLAIN AGEAcmlnaHQ=", b"AUTH PLAIN AGEAd3Jvbmc=", b"AUTH PLAIN", b"AUTH X"),
    *(
        b"AUTH LOGIN",
        b"AUTH LOGIN YQ==",
        b"YQ==",
        b"cmlnaHQ=",
        b"*",
        b"",
        b" ",
        b"\xff",
    ),
]
# Where to cut what is sent, as a part of its length.
CUTS = st.lists(st.floats(0, 1), max_size=4)
LINE = st.binary(max_size=40).map(lambda octets: re.sub(rb"[\r\n\0]", b"", octets))


def cut(octets: bytes, places: list[float]) -> list[bytes]:
    edges = sorted({0, len(octets), *(int(place * len(octets)) for place in places)})
    return [octets[a:b] for a, b in pairwise(edges)]


CLIENTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(Kind),
        "is_secure": st.booleans(),
        "has_certificate": st.booleans(),
        "is_refused": st.sampled_from([False] * 9 + [True]),
    }
)


class Conversation(RuleBasedStateMachine):
    """A client that says anything, and a driver whose site fails now and then."""

    @initialize(client=CLIENTS)
    def first_client(self, client: dict[str, Any]) -> None:
        self.begin(**client)

    @precondition(lambda self: self.is_closed)
    @rule(client=CLIENTS)
    def next_client(self, client: dict[str, Any]) -> None:
        self.begin(**client)

    def begin(
        self, kind: Kind, is_secure: bool, has_certificate: bool, is_refused: bool
    ) -> None:
        self.kind = kind
        self.session = Session(
            hostname="mx.test",
            limits=LIMITS,
            kind=kind,
            has_certificate=has_certificate,
            client=Client(is_secure=is_secure),
            refusal=replies.NOT_WELCOME.fill(why="x") if is_refused else None,
        )
        self.mood = "yes"
        self.is_closed = False
        # Raw octets may have left half a command behind.
        self.is_in_step = True
        self.content = bytearray()
        self.said = bytearray()
        self.kept = 0
        self.stored: list[bytes] = []
        # The code that every reply must have that trouble of ours caused.
        self.troubles = 0
        self.run()
        assert self.take_replies(1) != []

    # --- the driver ---------------------------------------------------------------

    def answer(self, good: Reply, bad: Reply) -> Reply:
        if self.mood == "trouble":
            self.troubles += 1
        return {"yes": good, "no": bad, "trouble": TROUBLE}[self.mood]

    def run(self) -> None:
        session = self.session
        while True:
            match session.next():
                case Send(data):
                    assert data
                    self.said += data
                case Authenticate(_, password):
                    is_right = password == "right" and self.mood != "trouble"
                    bad = self.answer(replies.BAD_CREDENTIALS, replies.AUTH_BRAKED)
                    bad = replies.AUTH_TROUBLE if bad is TROUBLE else bad
                    session.authenticated(Person("sam") if is_right else bad)
                case CheckSender():
                    session.decided(
                        self.answer(replies.SENDER_OK, replies.SENDER_NOT_ALLOWED)
                    )
                case Decide(path):
                    reply = self.answer(replies.RCPT_OK, replies.NO_SUCH_USER)
                    session.decided(reply, path)
                case Verify() | Expand():
                    session.decided(self.answer(replies.OK, replies.NO_SUCH_USER))
                case Keep(data):
                    self.content += data
                    if self.mood == "trouble":
                        self.troubles += 1
                        session.keep_failed(TROUBLE)
                case Forget():
                    self.content.clear()
                case Store(transaction):
                    self.store(transaction)
                case StartTLS():
                    assert not session.state.client.is_secure
                    session.tls_started()
                case Pause():
                    pass
                case More():
                    return
                case Close():
                    self.is_closed = True
                    return

    def store(self, transaction: Transaction) -> None:
        assert transaction.recipients
        assert len(self.content) <= LIMITS.message_size + 2
        assert b"\0" not in self.content
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", self.content)
        reply = self.answer(replies.KEPT, replies.NO_AUTHOR)
        if reply.is_positive:
            self.stored.append(bytes(self.content))
        self.content.clear()
        self.session.stored([reply])
        times = len(transaction.answers) if self.kind is Kind.LMTP else 1
        self.kept += times * reply.is_positive

    # --- the client -----------------------------------------------------------------

    def say(self, octets: bytes, places: list[float]) -> None:
        for piece in cut(octets, places):
            if not self.is_closed:
                self.session.receive(piece)
                self.run()

    def take_replies(self, count: int) -> list[bytes]:
        """The last lines of what was answered: so many replies, or it is over."""
        lines = bytes(self.said).split(b"\r\n")
        self.said.clear()
        assert lines.pop() == b""
        assert all(map(REPLY.fullmatch, lines)), lines
        last = [line for line in lines if line[3:4] == b" "]
        kept = [line for line in last if line.endswith(b"OK kept in the mailbox")]
        assert len(kept) == self.kept
        self.kept = 0
        if self.troubles == 1 and count == 1 and not self.is_closed:
            assert last[-1][:1] == b"4", last
        self.troubles = 0
        if self.is_in_step and not self.is_closed:
            assert len(last) == count, lines
        return last

    @property
    def is_reading_content(self) -> bool:
        return self.session._content is not None

    @precondition(lambda self: not self.is_closed)
    @rule(mood=st.sampled_from(MOODS))
    def change_mood(self, mood: str) -> None:
        self.mood = mood

    @precondition(lambda self: not self.is_closed and not self.is_reading_content)
    @rule(line=st.sampled_from(COMMANDS), places=CUTS)
    def command(self, line: bytes, places: list[float]) -> None:
        self.say(line + b"\r\n", places)
        self.take_replies(1)

    @precondition(lambda self: not self.is_closed and not self.is_reading_content)
    @rule(verb=st.sampled_from([b"", *COMMANDS]), line=LINE, places=CUTS)
    def odd_command(self, verb: bytes, line: bytes, places: list[float]) -> None:
        self.say(verb + line + b"\r\n", places)
        self.take_replies(1)

    @precondition(lambda self: not self.is_closed and not self.is_reading_content)
    @rule(who=st.sampled_from([b"a@l.test", b"b@l.test"]), places=CUTS)
    def envelope(self, who: bytes, places: list[float]) -> None:
        hello = b"LHLO c" if self.kind is Kind.LMTP else b"EHLO c"
        lines = [hello, b"MAIL FROM:<a@c.test>", b"RCPT TO:<" + who + b">", b"DATA"]
        self.say(b"\r\n".join(lines) + b"\r\n", places)
        self.troubles = 0
        self.take_replies(4)

    @precondition(lambda self: not self.is_closed and self.session._content is not None)
    @rule(
        lines=st.lists(LINE, max_size=5),
        fault=st.sampled_from(
            [b""] * 5 + [b"\n", b"\r", b"\0", b"x" * 600, b"\r\n.\n"]
        ),
        repeat=st.sampled_from([1, 1, 1, 100]),
        places=CUTS,
    )
    def content_to_its_end(
        self, lines: list[bytes], fault: bytes, repeat: int, places: list[float]
    ) -> None:
        if not self.is_in_step:
            return
        transaction = self.session.state.transaction
        assert transaction is not None
        count = len(transaction.answers) if self.kind is Kind.LMTP else 1
        text = b"\r\n".join([*lines, fault, b"end"]) * repeat + b"\r\n"
        stuffed = text.replace(b"\r\n.", b"\r\n..")
        stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
        before = len(self.stored)
        self.say(stuffed + b".\r\n", places)
        if fault or len(text) > LIMITS.message_size:
            # That is what the client hears of, whatever went wrong here.
            self.troubles = 0
        self.take_replies(count)
        assert self.is_closed or not self.is_reading_content
        assert self.stored[before:] in ([], [text])

    @precondition(lambda self: not self.is_closed and not self.is_reading_content)
    @rule(
        content=st.binary(max_size=60) | st.just(b"a\r\n"),
        is_last=st.booleans(),
        places=CUTS,
    )
    def chunk(self, content: bytes, is_last: bool, places: list[float]) -> None:
        state = self.session.state
        is_login = state.exchange is not None or not self.is_in_step
        transaction = state.transaction
        head = b"BDAT %d%s\r\n" % (len(content), b" LAST" if is_last else b"")
        if is_login:
            # The octets behind a line that is no BDAT would be commands.
            return
        before = len(self.said)
        self.say(head + content, places)
        assert before == 0
        is_open = transaction is not None and state.transaction is None
        if self.kind is Kind.LMTP and is_open and transaction is not None:
            self.take_replies(len(transaction.answers))
        elif not state.is_unwelcome:
            self.take_replies(1)
        else:
            # A refused client's BDAT is no BDAT: its octets are lines.
            self.is_in_step = False
            self.take_replies(0)

    @precondition(lambda self: not self.is_closed)
    @rule(octets=st.binary(max_size=300), times=st.sampled_from([0, 0, 0, 0, 1, 50]))
    def raw(self, octets: bytes, times: int) -> None:
        if not times:
            return
        self.is_in_step = False
        self.say(octets * times, [0.3, 0.6])
        self.troubles = 0
        self.take_replies(0)

    @precondition(lambda self: not self.is_closed)
    @rule(is_now=st.sampled_from([False] * 7 + [True]))
    def shut_down(self, is_now: bool) -> None:
        if not is_now:
            return
        self.session.hang_up(replies.SHUTTING_DOWN)
        self.run()
        assert self.is_closed
        assert self.take_replies(1)[-1].startswith(b"421 ")

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        if not hasattr(self, "session"):
            return
        assert not self.session._out
        assert not self.session._waiting
        assert len(self.session._lines.buffer) <= max(LIMITS.command_line, 12_288)
        assert len(self.content) <= LIMITS.message_size
        transaction = self.session.state.transaction
        if transaction is not None:
            assert len(transaction.recipients) <= LIMITS.recipients

    @invariant()
    def a_session_that_is_over_stays_so(self) -> None:
        if getattr(self, "is_closed", False):
            assert isinstance(self.session.next(), Close)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None
)


# --- over a socket -----------------------------------------------------------------


class Moody(Policy):
    """Raises what must not be heard, and counts what it took."""

    def __init__(self) -> None:
        self.dice = random.Random(1)
        self.taken = 0
        self.lock = threading.Lock()

    def fail(self) -> None:
        if self.dice.random() < 0.05:
            raise RuntimeError("the password is swordfish")
        if self.dice.random() < 0.05:
            raise OSError("swordfish is on the disk")

    def authenticate(self, name: str, password: str, client: SmtpClient) -> Person:
        self.fail()
        return Person(name)

    def check_sender(self, path: MailPath, client: SmtpClient) -> Reply:
        self.fail()
        return replies.SENDER_OK

    def decide(self, path: MailPath, client: SmtpClient) -> tuple[Reply, object]:
        self.fail()
        return replies.RCPT_OK, path

    def take(self, envelope: Transaction, raw: bytes) -> Sequence[Reply]:
        self.fail()
        with self.lock:
            self.taken += 1
        return [replies.KEPT]


QUICK = Limits(
    message_size=20_000,
    command_line=512,
    text_line=1000,
    recipients=5,
    error_pause=0.0,
    login_pause=0.0,
    command_seconds=5,
    chunk_seconds=5,
    spool_memory=2000,
)
START = b"EHLO c\r\nLHLO c\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<a@l.test>\r\n"
WORDS = st.sampled_from(
    [
        *(command + b"\r\n" for command in COMMANDS),
        *(START, START, START + b"DATA\r\n", START + b"DATA\r\nhello\r\n.\r\n"),
        *(
            START + b"BDAT 4 LAST\r\na\r\n",
            b"BDAT 5\r\nabc\r\n",
            b"\r\n.\r\n",
            b".\r\n",
        ),
        *(b"\r", b"\n", b"\0", b"\r\n", b".", b"\n.\n", b"x" * 3000, b"y\r\n" * 3000),
        *(
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            b"\x16\x03\x01",
            b"GET / HTTP/1.1\r\n",
        ),
    ]
)


# What begins a message, and what goes on behind it.
OPENINGS = st.sampled_from([START, START * 2, b"NOOP\r\n" + START])
ENDINGS = st.sampled_from(
    [
        *(b"DATA\r\nhello\r\n.\r\n", b"DATA\r\n" + b"y\r\n" * 1500 + b".\r\n"),
        *(b"BDAT 4 LAST\r\na\r\n\n", b"BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n"),
        *(b"DATA\r\nhel\nlo\r\n.\r\n", b"DATA\r\nhello\r\n.\n.\r\n", b"RSET\r\n", b""),
    ]
)
MESSAGES = st.tuples(OPENINGS, ENDINGS).map(b"".join)


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """One of each kind, for all examples."""
    folder = tmp_path_factory.mktemp("spool")
    services = [Service(Moody(), kind) for kind in Kind]
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(listening(service, folder, limits=QUICK))
            for service in services
        ]
    # It got as far as that.
    policies = [service.policy for service in services]
    assert sum(p.taken for p in policies if isinstance(p, Moody)) > 20


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.integers(0, len(Kind) - 1),
    words=st.lists(MESSAGES | WORDS | st.binary(max_size=50), max_size=12),
    places=CUTS,
    is_rude=st.sampled_from([False] * 4 + [True]),
)
def test_octets_over_a_socket(
    listeners: list[Running],
    number: int,
    words: list[bytes],
    places: list[float],
    is_rude: bool,
) -> None:
    running = listeners[number]
    policy = running.service.policy
    assert isinstance(policy, Moody)
    before, said = policy.taken, b""
    with running.connect() as client:
        try:
            for piece in cut(b"".join(words), places):
                client.say(piece)
            end = client.reset if is_rude else client.half_close
            end()
            while not is_rude and (data := client.sock.recv(65536)):
                said += data
        except ConnectionError:
            # It was over before we had said everything.
            is_rude = True
    until(lambda: running.connections == 0)
    lines = said.split(b"\r\n")
    # Cut off, the last line may have got lost.
    rest = lines.pop()
    assert is_rude or rest == b""
    assert all(map(REPLY.fullmatch, lines)), lines
    assert b"swordfish" not in said
    assert b"Error" not in said
    kept = [line for line in lines if line.endswith(b"OK kept in the mailbox")]
    if not is_rude and running.service.kind is not Kind.LMTP:
        assert len(kept) == policy.taken - before
    assert running.listener.room.left == QUICK.spool_total
    assert running.faults == []
