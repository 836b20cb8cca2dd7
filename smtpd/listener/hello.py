"""HELO, EHLO, LHLO, STARTTLS and AUTH: who the client is. Pure."""

from __future__ import annotations

import re

from smtpd import replies
from smtpd.listener import auth
from smtpd.listener.auth import Exchange
from smtpd.listener.requests import Authenticate, Kind
from smtpd.listener.state import Refused, State
from smtpd.replies import Reply

# What may stand in a Received field without a second thought.
_NOT_A_NAME = re.compile(r"[^!#-'*-:;=?-\[\]-~]")


def helo(state: State, argument: bytes) -> Reply:
    """RFC 5321 4.1.1.1, without extensions."""
    _introduce(state, argument, is_extended=False)
    return replies.HELLO.fill(hostname=state.hostname)


def ehlo(state: State, argument: bytes) -> Reply:
    """RFC 5321 4.1.1.1; LHLO is the same word for LMTP (RFC 2033 4.1)."""
    _introduce(state, argument, is_extended=True)
    return replies.HELLO.with_text("\n".join([state.hostname, *extensions(state)]))


def _introduce(state: State, argument: bytes, *, is_extended: bool) -> None:
    """RFC 5321 4.1.4: any name will do, and it acts as RSET."""
    if not argument:
        raise Refused(replies.HELLO_NEEDS_NAME)
    name = argument.decode("ascii", "replace")[:255]
    state.client.helo = _NOT_A_NAME.sub("?", name)
    state.client.is_extended = is_extended
    state.transaction = None


def extensions(state: State) -> list[str]:
    """What works here and now, and nothing else."""
    limits = state.limits
    names = ["PIPELINING", f"SIZE {limits.message_size}", "8BITMIME"]
    names += ["ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING"]
    if state.kind is not Kind.MAILBOX:
        names.append("DSN")
    # RFC 9422 3.
    names.append(f"LIMITS RCPTMAX={limits.recipients}")
    if state.has_certificate and not state.client.is_secure:
        names.append("STARTTLS")
    if state.offers_auth and state.client.is_secure:
        names.append(f"AUTH {' '.join(auth.MECHANISMS)}")
    if state.client.may_expand:
        names.append("EXPN")
    return names


def starttls(state: State, argument: bytes) -> Reply:
    """RFC 3207."""
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    if not state.has_certificate:
        raise Refused(replies.NO_TLS)
    if state.client.is_secure:
        raise Refused(replies.TLS_ALREADY)
    return replies.READY_FOR_TLS


def authenticate(state: State, argument: bytes) -> Reply | Authenticate:
    """RFC 4954 4: begin an exchange; the initial response may come along."""
    _refuse_auth(state)
    name, _, initial = argument.partition(b" ")
    mechanism = name.upper().decode("ascii", "replace")
    if not mechanism:
        raise Refused(replies.BAD_ARGUMENT)
    if mechanism not in auth.MECHANISMS:
        raise Refused(replies.UNKNOWN_MECHANISM)
    state.exchange = Exchange(mechanism)
    if not initial:
        return state.exchange.prompt()
    # RFC 4954 4: `=` is an empty response.
    return go_on(state, b"" if initial == b"=" else initial)


def go_on(state: State, line: bytes) -> Reply | Authenticate:
    """Take the next line of the exchange that is going on."""
    assert state.exchange is not None
    try:
        answer = state.exchange.take(line)
    except auth.BadExchange as error:
        state.exchange = None
        return error.reply
    if isinstance(answer, Authenticate):
        state.exchange = None
    return answer


def _refuse_auth(state: State) -> None:
    if not state.offers_auth:
        raise Refused(replies.NOT_IMPLEMENTED)
    if not state.client.is_secure:
        raise Refused(replies.ENCRYPT_FIRST)
    if not state.client.is_extended:
        raise Refused(replies.HELLO_FIRST)
    if state.client.account is not None or state.transaction is not None:
        raise Refused(replies.AUTH_NOT_NOW)
