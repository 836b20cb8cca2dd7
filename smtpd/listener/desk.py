"""Where a session's questions are answered: by the policy, in a thread.

Whatever goes wrong there is ours, never the client's: a 451 or 454 with an id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from smtpd import replies
from smtpd.listener.policies import Policy
from smtpd.listener.requests import (
    Account,
    Authenticate,
    CheckSender,
    Client,
    Decide,
    Expand,
    Question,
    Store,
    Transaction,
    Verify,
)
from smtpd.listener.session import Session
from smtpd.listener.spool import Spool
from smtpd.listener.threads import trouble
from smtpd.replies import Reply

if TYPE_CHECKING:
    from smtpd.listener.server import Listener

log = logging.getLogger(__name__)


class Desk:
    """One policy and the threads in which it takes its time."""

    def __init__(self, policy: Policy, listener: Listener) -> None:
        self._policy = policy
        self._threads = listener.threads
        self._writers = listener.writers
        self._limits = listener.limits
        self._room_for = listener.room_for

    async def answer(self, session: Session, question: Question) -> None:
        """Find the answer out and tell the session."""
        client, policy = session.state.client, self._policy
        match question:
            case Authenticate():
                await self._log_in(session, question)
            case CheckSender(path):
                reply = await self._ask(
                    partial(policy.check_sender, path, client), client
                )
                _note_refusal("from", str(path), reply, client)
                session.decided(reply)
            case Decide():
                await self._decide(session, question)
            case Verify(text):
                work = partial(policy.verify, text, client)
                session.decided(await self._ask(work, client))
            case Expand(text):
                work = partial(policy.expand, text, client)
                session.decided(await self._ask(work, client))

    async def store(
        self, session: Session, request: Store, spool: Spool | None
    ) -> None:
        """Hand a whole message over; a client that has gone does not stop it."""
        answers: Sequence[Reply]
        try:
            answers = await self._take(request.transaction, spool)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            answers = [trouble(error, session.state.client.peer)]
        finally:
            if spool is not None:
                spool.close()
        session.stored(answers)

    async def _take(
        self, transaction: Transaction, spool: Spool | None
    ) -> Sequence[Reply]:
        """A small message goes with others, a large one by itself."""
        size = spool.size if spool else 0
        work = partial(_take, self._policy, transaction, spool)
        if size <= self._limits.spool_memory:
            return await self._writers.run(work)
        async with self._room_for(size):
            return await self._threads.run(work, is_long=True)

    async def _log_in(self, session: Session, question: Authenticate) -> None:
        client = session.state.client
        work = partial(_authenticate, self._policy, question, client)
        found: Account | Reply
        try:
            found, may_expand = await self._threads.run(work, twice=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            text = trouble(error, client.peer).text
            found, may_expand = replies.AUTH_TROUBLE.with_text(text), False
        if isinstance(found, Reply):
            # The line that brakes like fail2ban look for.
            name, peer = question.name[:100], client.peer
            log.warning("auth failed name=%r peer=%s reply=%s", name, peer, found)
        session.authenticated(found, may_expand=may_expand)

    async def _decide(self, session: Session, question: Decide) -> None:
        client = session.state.client
        work = partial(self._policy.decide, question.path, client)
        route: object
        try:
            reply, route = await self._threads.run(work, twice=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            reply, route = trouble(error, client.peer), None
        _note_refusal("to", str(question.path), reply, client)
        session.decided(reply, route)

    async def _ask(self, work: Callable[[], Reply], client: Client) -> Reply:
        try:
            return await self._threads.run(work, twice=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            return trouble(error, client.peer)


def _note_refusal(word: str, path: str, reply: Reply, client: Client) -> None:
    if not reply.is_positive:
        log.info("refused %s=<%s> peer=%s reply=%s", word, path, client.peer, reply)


def _authenticate(
    policy: Policy, question: Authenticate, client: Client
) -> tuple[Account | Reply, bool]:
    """In a thread: who that is, and whether EXPN is for them."""
    found = policy.authenticate(question.name, question.password, client)
    if isinstance(found, Reply):
        return found, False
    return found, policy.may_expand(replace(client, account=found))


def _take(
    policy: Policy, transaction: Transaction, spool: Spool | None
) -> Sequence[Reply]:
    """In a thread: read the whole message and hand it over."""
    return policy.take(transaction, spool.read() if spool else b"")
