"""Mail transactions with one server, as few round trips as RFC 2920 allows.

On a warm connection the end of one message and MAIL, RCPT and DATA of the
next go out in one write: one round trip a message. A server without
PIPELINING is asked step by step.

A server that offers extensions and answers them with 50x is asked once more in
plain words, and so for the rest of the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from smtpd.outbound.failures import Failure, Stage
from smtpd.outbound.offer import Offer
from smtpd.outbound.opening import Session, open_session
from smtpd.outbound.relay import Hop
from smtpd.outbound.render import END
from smtpd.outbound.results import Outcome, Reply, Result, recipient_result, result
from smtpd.outbound.transaction import Transaction
from smtpd.outbound.wire import Lost, Timeouts

logger = logging.getLogger(__name__)

_GO_AHEAD = 354
_CLOSING = 421


def _is_protocol(known: Result | None) -> bool:
    return (
        known is not None
        and known.outcome is Outcome.FAILED
        and known.failure is Failure.PROTOCOL
    )


Take = Callable[[], Transaction | None]
Done = Callable[[Transaction], None]


class Connection:
    """One open session; give it transactions with send()."""

    def __init__(self, session: Session, timeouts: Timeouts) -> None:
        self._wire = session.wire
        self._timeouts = timeouts
        self.hop = session.hop
        self._host = str(session.hop)
        self._offer = Offer(self._host, session.extensions, session.size_limit)
        # The envelope is out, the message is not.
        self._asked: Transaction | None = None
        # Our final dot is out, the answer is not here.
        self._dotted: Transaction | None = None
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._has_sent = False

    @classmethod
    async def open(cls, hop: Hop, timeouts: Timeouts | None = None) -> Self:
        """Raise HostTrouble when no mail can be sent to this host now."""
        timeouts = timeouts or Timeouts()
        return cls(await open_session(hop, timeouts), timeouts)

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked to send (more)."""
        return self._wire.is_quiet

    @property
    def has_sent(self) -> bool:
        """Whether the server has answered a message yet."""
        return self._has_sent

    async def close(self) -> None:
        """Take leave; safe on a connection that is gone."""
        await self._wire.close()

    def drop(self) -> None:
        """End it in the middle of whatever it does."""
        self._wire.end("dropped by us")

    async def send(self, take: Take, done: Done) -> Transaction | None:
        """Send what take() gives until it gives nothing, and tell done() of each.

        Return the transaction whose message the server had not seen when the
        connection was lost: it may go over another one at once.
        """
        try:
            await (self._pipelined if self._offer.pipelines else self._stepwise)(
                take, done
            )
        except Lost as lost:
            return self._lost(lost, done)
        except Exception as error:
            # Ours, not the server's; but these must not stay in our hands.
            logger.exception("connection state=broken")
            return self._lost(Lost(f"we failed: {error!r}"), done)
        return None

    async def _pipelined(self, take: Take, done: Done) -> None:
        """RFC 2920 3.1: DATA ends a group, a message may begin one."""
        ready: Transaction | None = None
        while True:
            following = self._next(take, done)
            if self._wire.lost is not None:
                self._asked = ready
                raise self._wire.lost
            if ready is None and following is None:
                return
            self._dotted, self._asked = ready, following
            commands = self._commands(following) if following else []
            self._wire.write(b"".join(([ready.data()] if ready else []) + commands))
            if ready is not None:
                await self._end_of_data(ready, done)
                ready = None
            if following is not None and await self._is_wanted(following):
                ready = following
            elif following is not None:
                self._refused(following, done)

    async def _stepwise(self, take: Take, done: Done) -> None:
        """One command at a time, for a server that cannot pipeline."""
        while (transaction := self._next(take, done)) is not None:
            self._asked = transaction
            if await self._is_wanted(transaction):
                self._dotted, self._asked = transaction, None
                self._wire.write(transaction.data())
                await self._end_of_data(transaction, done)
            else:
                self._refused(transaction, done)

    def _next(self, take: Take, done: Done) -> Transaction | None:
        """The next transaction with a recipient this server may take."""
        while self._wire.lost is None and (transaction := take()) is not None:
            if transaction.is_plain:
                self._offer.withdraw()
            self._offer.screen(transaction)
            if None in transaction.results:
                return transaction
            done(transaction)
        return None

    def _envelope(self, transaction: Transaction) -> list[bytes]:
        """The commands in front of a message; its time begins."""
        self._until = self._loop.time() + self._timeouts.transaction
        return self._offer.envelope(transaction)

    def _commands(self, transaction: Transaction) -> list[bytes]:
        """What may be written before there is a reply."""
        return self._envelope(transaction) if self._offer.pipelines else []

    async def _is_wanted(self, transaction: Transaction) -> bool:
        """Whether the server wants the message of this envelope."""
        ask = self._group if self._offer.pipelines else self._steps
        if await ask(transaction):
            return True
        return self._stumbled(transaction) and await self._steps(transaction)

    def _stumbled(self, transaction: Transaction) -> bool:
        """Whether to ask again without extensions; once a message."""
        is_lost = [_is_protocol(known) for known in transaction.results]
        has_choice = bool(self._offer.extensions) and not transaction.is_utf8
        if transaction.is_plain or not (any(is_lost) and has_choice):
            return False
        transaction.is_plain = True
        self._offer.withdraw()
        transaction.results = [
            None if again else known
            for again, known in zip(is_lost, transaction.results, strict=True)
        ]
        return True

    async def _group(self, transaction: Transaction) -> bool:
        """The replies to a whole envelope; True: the message is wanted."""
        mail = await self._reply(self._timeouts.command)
        replies = [
            await self._reply(self._timeouts.command)
            for known in transaction.results
            if known is None
        ]
        data = await self._reply(self._timeouts.data)
        self._judge(transaction, mail, replies)
        return await self._go_ahead(transaction, data, mail)

    async def _steps(self, transaction: Transaction) -> bool:
        """The same, asked one by one; stops where nothing is left to ask."""
        first, *others, last = self._envelope(transaction)
        mail = await self._ask(first)
        replies = [await self._ask(rcpt) for rcpt in others if mail.is_positive]
        self._judge(transaction, mail, replies)
        if None not in transaction.results:
            await self._ask(b"RSET\r\n")
            return False
        return await self._go_ahead(transaction, await self._ask(last), mail)

    def _judge(
        self, transaction: Transaction, mail: Reply, replies: Sequence[Reply]
    ) -> None:
        """Settle whom MAIL or RCPT refused."""
        if not mail.is_positive:
            transaction.settle(result(mail, self._host, Stage.MAIL))
            return
        others = any(reply.is_positive for reply in replies)
        answers = iter(replies)
        for at, known in enumerate(transaction.results):
            if known is None and not (reply := next(answers)).is_positive:
                transaction.results[at] = recipient_result(
                    reply, self._host, others=others
                )

    async def _go_ahead(
        self, transaction: Transaction, data: Reply, mail: Reply
    ) -> bool:
        """RFC 2920 3.1: a 354 that nobody wanted is answered by a lone dot."""
        if data.code == _GO_AHEAD:
            if None in transaction.results:
                return True
            await self._ask(END)
            return False
        if data.code // 100 not in (4, 5):
            self._wire.end(f"DATA answered by {data}")
        transaction.settle(result(data, self._host, Stage.DATA))
        if mail.is_positive:
            await self._ask(b"RSET\r\n")
        return False

    def _refused(self, transaction: Transaction, done: Done) -> None:
        self._asked = None
        done(transaction)

    async def _end_of_data(self, transaction: Transaction, done: Done) -> None:
        """The reply that decides who is responsible now (RFC 5321 4.2.5)."""
        reply = await self._wire.reply(self._timeouts.dot, self._until)
        self._dotted = None
        self._has_sent = True
        transaction.settle(self._answer(transaction, reply))
        done(transaction)
        if reply.code == _CLOSING:
            self._wire.end(str(reply))

    def _answer(self, transaction: Transaction, reply: Reply) -> Result:
        found = result(reply, self._host, Stage.DOT)
        if found.outcome is Outcome.SENT and self._offer.owes_report(transaction):
            return replace(found, owes_report=True)
        return found

    async def _ask(self, command: bytes) -> Reply:
        self._wire.write(command)
        return await self._reply(self._timeouts.command)

    async def _reply(self, seconds: float) -> Reply:
        """RFC 5321 3.8: 421 answers anything and ends the connection."""
        reply = await self._wire.reply(seconds, self._until)
        if reply.code == _CLOSING:
            self._wire.end(str(reply))
            raise Lost(str(reply))
        return reply

    def _lost(self, lost: Lost, done: Done) -> Transaction | None:
        """Settle what the server may have; return what it has not."""
        text = str(lost)
        self._wire.end(text)
        if self._dotted is not None:
            ambiguous = Result(
                Outcome.TRY_LATER, None, "", text, self._host, is_ambiguous=True
            )
            self._dotted.settle(ambiguous)
            done(self._dotted)
        unsent, self._dotted, self._asked = self._asked, None, None
        if unsent is not None:
            unsent.losses += not self._has_sent
            unsent.loss = Result(Outcome.TRY_LATER, None, "", text, self._host)
        return unsent
