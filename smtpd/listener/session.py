"""An SMTP session without a network: octets in, requests out. Pure.

Drive it so: ask `next()` and do what it says; on More give it octets with
`receive()`; on Decide, Store and StartTLS report back before asking again.
Commands are worked off in the order they came (RFC 2920 3.2), and their
replies leave together before the next read.
"""

from __future__ import annotations

from smtpd import replies
from smtpd.listener.commands import Commands
from smtpd.listener.content import Content
from smtpd.listener.limits import Limits
from smtpd.listener.lines import Lines
from smtpd.listener.requests import (
    Action,
    Close,
    Decide,
    Forget,
    Keep,
    More,
    Phase,
    Send,
    StartTLS,
    Store,
)
from smtpd.replies import Reply

# Replies are sent at once when so much of them is waiting.
_MUCH = 32_768
# What a client that knows the protocol does not cause.
_ERRORS = frozenset((500, 501, 502, 503, 555))


class Session:
    """One connection, from the greeting to the end."""

    def __init__(
        self, *, hostname: str, limits: Limits, has_certificate: bool = False
    ) -> None:
        self.limits = limits
        self.commands = Commands(
            hostname=hostname, limits=limits, has_certificate=has_certificate
        )
        self._lines = Lines(limit=limits.command_line)
        self._content: Content | None = None
        # Why the content could not be kept.
        self._trouble: Reply | None = None
        self._errors = 0
        self._steps = 0
        # What has to be done before the next octet is looked at.
        self._waiting: list[Action] = []
        self._out = bytearray(bytes(replies.GREETING.fill(hostname=hostname)))
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
        """Report what Decide found; a positive reply comes with a route."""
        self.commands.decided(reply, route)
        self._say(reply)

    def stored(self, reply: Reply) -> None:
        """Report what came of Store."""
        self.commands.transaction = None
        self._say(reply)

    def keep_failed(self, reply: Reply) -> None:
        """Report that Keep could not keep: the message is refused at its end."""
        self._trouble = self._trouble or reply

    def tls_started(self) -> None:
        """Report that the handshake is done."""
        self.commands.tls_started()
        self._lines.buffer.clear()

    def hang_up(self, reply: Reply) -> None:
        """End it with a 421, whatever it was doing."""
        self._lines.buffer.clear()
        self._waiting.clear()
        if self._content is not None:
            self._waiting.append(Forget())
        self._content = None
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
        answer = line if isinstance(line, Reply) else self.commands.obey(line)
        match answer:
            case Reply():
                self._answer(answer)
            case Decide():
                self._waiting.append(answer)
            case Close():
                self._is_over = True
        return True

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
        elif reply.code in _ERRORS:
            self._errors += 1
            if self._errors >= self.limits.errors:
                self._close(replies.TOO_MANY_ERRORS)

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

    def _finish(self, content: Content) -> None:
        """Answer the dot, or have the driver find out the answer."""
        transaction = self.commands.transaction
        assert transaction is not None
        self._content = None
        self._steps += 1
        refusal = self._refusal(content)
        if refusal is None:
            self._waiting.append(Store(transaction))
            return
        self._waiting.append(Forget())
        self.stored(refusal)

    def _refusal(self, content: Content) -> Reply | None:
        """Why the message cannot be taken, from what is known so far."""
        size = self.limits.message_size
        faults = (
            (content.size > size, replies.TOO_BIG.fill(size=size)),
            (content.has_nul, replies.HAS_NUL),
            (content.has_bare_line_end, replies.BARE_CR_LF),
            (content.has_long_line, replies.TEXT_LINE_TOO_LONG),
        )
        return next((reply for is_so, reply in faults if is_so), self._trouble)
