"""An SMTP session without a network: octets in, requests out. Pure.

Drive it so: ask `next()` and do what it says; on More give it octets with
`receive()`; on a Question, Store and StartTLS report back before asking again.
Commands are worked off in the order they came (RFC 2920 3.2), and their
replies leave together before the next read.
"""

from __future__ import annotations

from collections.abc import Sequence

from smtpd import replies
from smtpd.listener import auth, commands, mailing
from smtpd.listener.chunks import Chunks, Waste
from smtpd.listener.content import Content
from smtpd.listener.limits import Limits
from smtpd.listener.lines import Lines
from smtpd.listener.requests import (
    Account,
    Action,
    Authenticate,
    Chunk,
    Client,
    Close,
    Forget,
    Keep,
    Kind,
    More,
    Pause,
    Phase,
    Question,
    Send,
    StartTLS,
    Store,
)
from smtpd.listener.state import State
from smtpd.replies import Reply

# Replies are sent at once when so much of them is waiting.
_MUCH = 32_768
# What a client that knows the protocol does not cause.
_ERRORS = frozenset((500, 501, 502, 503, 504, 530, 538, 555))


class Session:
    """One connection, from the greeting to the end."""

    def __init__(
        self,
        *,
        hostname: str,
        limits: Limits,
        kind: Kind = Kind.SMTP,
        has_certificate: bool = False,
        client: Client | None = None,
        refusal: Reply | None = None,
    ) -> None:
        self.limits = limits
        self.state = State(
            hostname=hostname,
            limits=limits,
            kind=kind,
            has_certificate=has_certificate,
            client=client,
        )
        self.state.is_unwelcome = refusal is not None
        line = auth.LINE_OCTETS if self.state.offers_auth else limits.command_line
        self._lines = Lines(limit=line)
        # What is being read, and the message that comes in several BDATs.
        self._content: Content | Chunks | Waste | None = None
        self._chunks: Chunks | None = None
        # Why the content could not be kept.
        self._trouble: Reply | None = None
        self._errors = 0
        # Commands since the last message that was taken.
        self._idle = 0
        self._steps = 0
        # What has to be done before the next octet is looked at.
        self._waiting: list[Action] = []
        greeting = replies.LMTP_GREETING if kind is Kind.LMTP else replies.GREETING
        self._out = bytearray(bytes(refusal or greeting.fill(hostname=hostname)))
        self._is_over = False

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        self._lines.buffer += data

    def next(self) -> Action:
        """Say what to do now."""
        while True:
            if len(self._out) >= _MUCH:
                return self._flush()
            if self._waiting:
                # The client has to read 220 before it shakes hands.
                is_tls = isinstance(self._waiting[0], StartTLS)
                return self._flush() if is_tls and self._out else self._waiting.pop(0)
            if self._is_over:
                return self._flush() if self._out else Close()
            if not (self._read_content() if self._content else self._read_command()):
                return self._flush() if self._out else self._more()

    def decided(self, reply: Reply, route: object = None) -> None:
        """Report what a Question found; a positive reply to RCPT has a route."""
        before = self.state.refused
        mailing.decided(self.state, reply, route)
        self._say(reply)
        is_search = before < self.state.refused > self.limits.free_refusals
        if is_search and not self.state.is_trusted:
            self._waiting.append(Pause(self.limits.error_pause))

    def authenticated(
        self, found: Account | Reply, *, may_expand: bool = False
    ) -> None:
        """Report what Authenticate found: somebody, or why not."""
        if not isinstance(found, Reply):
            self.state.client.account = found
            self.state.client.may_expand = may_expand
            self._say(replies.AUTHENTICATED)
            return
        self._answer(found)

    def stored(self, answers: Sequence[Reply]) -> None:
        """Report what came of Store: one reply, or for LMTP each recipient's."""
        transaction = self.state.transaction
        assert transaction is not None
        self.state.transaction = None
        self._chunks = None
        if any(answer.is_positive for answer in answers):
            self._idle = 0
        if self.state.kind is not Kind.LMTP:
            self._say(answers[0])
            return
        # RFC 2033 4.2: one reply for each RCPT that got a yes, in that order.
        each = (
            list(answers)
            if len(answers) > 1
            else [*answers] * len(transaction.recipients)
        )
        for number in transaction.answers:
            self._say(each[number])

    def keep_failed(self, reply: Reply) -> None:
        """Report that Keep could not keep: the message is refused at its end."""
        self._trouble = self._trouble or reply

    def tls_started(self) -> None:
        """Report that the handshake is done."""
        self.state.tls_started()
        self._lines.buffer.clear()

    def hang_up(self, reply: Reply) -> None:
        """End it with a 421, whatever it was doing."""
        self._lines.buffer.clear()
        self._waiting.clear()
        if self._content is not None or self._chunks is not None:
            self._waiting.append(Forget())
        self._content = self._chunks = None
        self._close(reply)

    def _more(self) -> More:
        phase = Phase.CONTENT if self._content else Phase.COMMAND
        return More(phase, self._steps)

    def _flush(self) -> Send:
        data = bytes(self._out)
        self._out.clear()
        return Send(data)

    def _say(self, reply: Reply) -> None:
        self._out += bytes(reply)

    def _close(self, reply: Reply) -> None:
        self._say(reply)
        self._is_over = True

    def _read_command(self) -> bool:
        """Work one line off; False when there is no whole line yet."""
        line = self._lines.next()
        if line is None:
            if self._lines.skipped <= self.limits.command_garbage:
                return False
            self._close(replies.TOO_MANY_ERRORS)
            return True
        self._steps += 1
        answer = line if isinstance(line, Reply) else commands.obey(self.state, line)
        if self._chunks is not None and self.state.transaction is None:
            # RSET or EHLO between two chunks.
            self._chunks = None
            self._waiting.append(Forget())
        match answer:
            case Reply():
                self._answer(answer)
            case Chunk():
                self._begin_chunk(answer)
            case Close():
                self._is_over = True
            case _:
                self._ask(answer)
        return True

    def _ask(self, question: Question) -> None:
        self._waiting.append(question)
        if isinstance(question, Authenticate) and self.state.failed_logins:
            # Guessing is made slow before it is made impossible.
            pause = self.limits.login_pause * self.state.failed_logins
            self._waiting.insert(-1, Pause(pause))

    def _answer(self, reply: Reply) -> None:
        """Say it, do what it promises, and count what it blames."""
        self._say(reply)
        if reply is replies.GO_AHEAD:
            self._content = Content(line_limit=self.limits.text_line)
            self._trouble = None
        elif reply is replies.READY_FOR_TLS:
            # What came along in the clear is nobody's command (CVE-2011-0411).
            self._lines.buffer.clear()
            self._waiting.append(StartTLS())
        elif reply is replies.BYE:
            self._is_over = True
        elif reply.code == replies.BAD_CREDENTIALS.code:
            self._failed_login()
        elif reply.code == replies.TOO_MANY_REFUSED.code:
            self._is_over = True
        elif reply.code in _ERRORS:
            self._count_error()
        elif reply.is_positive and reply is not replies.RCPT_OK:
            self._count_idle()

    def _failed_login(self) -> None:
        self.state.failed_logins += 1
        if self.state.failed_logins >= self.limits.failed_logins:
            self._close(replies.TOO_MANY_ERRORS)

    def _count_error(self) -> None:
        """Each mistake costs the client a little time, the last one the session."""
        self._errors += 1
        if self._errors >= self.limits.errors:
            self._close(replies.TOO_MANY_ERRORS)
        elif self._errors > self.limits.free_errors:
            self._waiting.append(Pause(self.limits.error_pause))

    def _count_idle(self) -> None:
        """A client that only talks takes the place of one that brings mail."""
        self._idle += 1
        if self._idle > self.limits.idle_commands and not self.state.is_trusted:
            self._close(replies.TOO_IDLE)

    def _begin_chunk(self, chunk: Chunk) -> None:
        if chunk.size > self.limits.message_size * self.limits.drain_factor:
            self.hang_up(replies.TOO_MUCH_DATA)
        elif chunk.refusal is not None:
            self._content = Waste(chunk.size, chunk.refusal)
        else:
            if self._chunks is None:
                self._chunks = Chunks(line_limit=self.limits.text_line)
                self._trouble = None
            self._chunks.begin(chunk)
            self._content = self._chunks

    def _read_content(self) -> bool:
        """Work off what there is; False when the end has not come yet."""
        content = self._content
        assert content is not None
        if content.is_complete:
            self._finish(content)
            return True
        if not self._lines.buffer:
            return False
        piece, rest = content.feed(bytes(self._lines.buffer))
        self._lines.buffer[:] = rest
        if content.taken > self.limits.message_size * self.limits.drain_factor:
            self.hang_up(replies.TOO_MUCH_DATA)
        elif piece and self._refusal(content) is None:
            self._waiting.append(Keep(piece))
        return True

    def _finish(self, content: Content | Chunks | Waste) -> None:
        """Answer the end, or have the driver find out the answer."""
        self._content = None
        self._steps += 1
        if isinstance(content, Waste):
            self._answer(content.refusal)
            return
        if isinstance(content, Chunks) and content.is_last:
            line_end = content.end()
            if line_end:
                self._waiting.append(Keep(line_end))
        refusal = self._refusal(content)
        transaction = self.state.transaction
        assert transaction is not None
        if refusal is not None:
            self._waiting[:] = [Forget()]
            self.stored([refusal])
        elif content.is_last:
            self._waiting.append(Store(transaction))
        else:
            self._say(replies.CHUNK_TAKEN.fill(size=content.size))

    def _refusal(self, content: Content | Chunks | Waste) -> Reply | None:
        """Why the message cannot be taken, from what is known so far."""
        if isinstance(content, Waste):
            return content.refusal
        size, seen = self.limits.message_size, content.inspection
        faults = (
            (content.size > size, replies.TOO_BIG.fill(size=size)),
            (seen.has_nul, replies.HAS_NUL),
            (seen.has_bare_line_end, replies.BARE_CR_LF),
            (seen.has_long_line, replies.TEXT_LINE_TOO_LONG),
        )
        return next((reply for is_so, reply in faults if is_so), self._trouble)
