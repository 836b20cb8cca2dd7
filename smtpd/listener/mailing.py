"""MAIL, RCPT, DATA, BDAT and RSET: a message and its envelope. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from smtpd import paths, replies
from smtpd.listener import parameters
from smtpd.listener.requests import (
    CheckSender,
    Chunk,
    Decide,
    Kind,
    Recipient,
    Transaction,
)
from smtpd.listener.state import Refused, State
from smtpd.paths import Path
from smtpd.replies import Reply

_CHUNK = re.compile(rb"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)


def mail(state: State, argument: bytes) -> Reply | CheckSender:
    """RFC 5321 4.1.1.2: begin a transaction."""
    _refuse_mail(state)
    text = _behind(b"FROM:", argument)
    # Whether UTF-8 was asked for stands behind the path.
    path, rest = paths.reverse_path(text, utf8=True)
    asked = parameters.mail(rest, auth=state.offers_auth)
    if not asked.needs_utf8 and not text[: len(text) - len(rest)].isascii():
        raise Refused(replies.NEEDS_SMTPUTF8)
    if asked.size > state.limits.message_size:
        raise Refused(replies.TOO_BIG.fill(size=state.limits.message_size))
    if state.is_full or asked.size > state.room:
        raise Refused(replies.DISK_LOW)
    transaction = _transaction(state, path, asked)
    if state.kind is Kind.SUBMISSION:
        state.asked_mail = transaction
        return CheckSender(path)
    state.transaction = transaction
    return replies.SENDER_OK


def _refuse_mail(state: State) -> None:
    if not state.client.helo:
        raise Refused(replies.HELLO_FIRST)
    if state.offers_auth and state.client.account is None:
        raise Refused(replies.AUTH_FIRST)
    if state.transaction is not None:
        raise Refused(replies.NESTED_MAIL)


def _transaction(state: State, path: Path, asked: parameters.Mail) -> Transaction:
    protocol = state.protocol
    if asked.needs_utf8:
        # RFC 6531 4.3.
        protocol = protocol.replace("ESMTP", "UTF8SMTP").replace("LMTP", "UTF8LMTP")
    return Transaction(
        path,
        client=replace(state.client),
        protocol=protocol,
        size=asked.size,
        needs_8bit=asked.needs_8bit,
        needs_utf8=asked.needs_utf8,
        ret=asked.ret,
        envid=asked.envid,
    )


def rcpt(state: State, argument: bytes) -> Reply | Decide:
    """RFC 5321 4.1.1.3: name a recipient."""
    transaction = _open(state)
    text = _behind(b"TO:", argument)
    # Until it is found good, it counts among the refused ones.
    transaction.refused += 1
    path, rest = paths.forward_path(text, utf8=transaction.needs_utf8)
    asked = parameters.rcpt(rest, utf8=transaction.needs_utf8)
    transaction.refused -= 1
    known = transaction.places.get(path)
    if known is not None:
        transaction.answers.append(known)
        return replies.RCPT_OK
    if len(transaction.recipients) >= state.limits.recipients:
        raise Refused(replies.TOO_MANY_RECIPIENTS)
    _refuse_searching(state, transaction)
    state.asked = Recipient(path, None, asked.notify, asked.orcpt)
    return Decide(path)


def _refuse_searching(state: State, transaction: Transaction) -> None:
    """End the search for addresses that exist.

    The message for those that were found may still come, so that a sender
    with many old addresses gets on.
    """
    if state.refused < state.limits.refusals or state.is_trusted:
        return
    if transaction.recipients:
        raise Refused(replies.TOO_MANY_RECIPIENTS)
    raise Refused(replies.TOO_MANY_REFUSED)


def decided(state: State, reply: Reply, route: object) -> None:
    """Note what became of the sender or the recipient that was looked up."""
    if state.asked_mail is not None:
        state.transaction = state.asked_mail if reply.is_positive else None
        state.asked_mail = None
    if state.asked is None:
        return
    transaction = state.transaction
    assert transaction is not None
    if reply.is_positive:
        transaction.places[state.asked.path] = len(transaction.recipients)
        transaction.answers.append(len(transaction.recipients))
        transaction.recipients.append(replace(state.asked, route=route))
    else:
        transaction.refused += 1
        state.refused += reply.is_permanent
    state.asked = None


def data(state: State, argument: bytes) -> Reply:
    """RFC 5321 4.1.1.4: the content comes next."""
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    _refuse_empty(state, _open(state))
    if state.is_full:
        raise Refused(replies.DISK_LOW)
    return replies.GO_AHEAD


def bdat(state: State, argument: bytes) -> Reply | Chunk:
    """RFC 3030 2: so many octets of content come along.

    They come whether we want them or not: a refusal waits until they are
    read. Without a number there is no telling what follows.
    """
    match = _CHUNK.fullmatch(argument)
    if match is None:
        raise Refused(replies.BAD_ARGUMENT)
    size, is_last = int(match.group(1)), match.group(2) is not None
    try:
        if state.transaction is None:
            raise Refused(replies.MAIL_FIRST)
        _refuse_empty(state, state.transaction)
        if state.is_full and not state.transaction.is_chunked:
            raise Refused(replies.DISK_LOW)
    except Refused as refused:
        return Chunk(size, is_last, refused.reply)
    state.transaction.is_chunked = True
    return Chunk(size, is_last)


def rset(state: State, argument: bytes) -> Reply:
    """RFC 5321 4.1.1.5."""
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    state.transaction = None
    return replies.OK


def _open(state: State) -> Transaction:
    """The transaction under way, unless its content is."""
    if state.transaction is None:
        raise Refused(replies.MAIL_FIRST)
    if state.transaction.is_chunked:
        raise Refused(replies.CHUNKS_FIRST)
    return state.transaction


def _refuse_empty(state: State, transaction: Transaction) -> None:
    if transaction.recipients:
        return
    # RFC 2033 4.2: LMTP has no other answer to DATA without recipients.
    if transaction.refused and state.kind is not Kind.LMTP:
        raise Refused(replies.NO_RECIPIENTS)
    raise Refused(replies.RCPT_FIRST)


def _behind(keyword: bytes, argument: bytes) -> bytes:
    """What follows FROM: or TO:; a space there is wrong, common and harmless."""
    if argument[: len(keyword)].upper() != keyword:
        raise Refused(replies.BAD_ARGUMENT)
    return argument[len(keyword) :].lstrip(b" ")
