"""From a line to the verb it names. Pure.

Each command is one line in, one reply out, except where the reply has to be
looked up. A reply that refuses is raised, so that a verb reads as its rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from smtpd import replies
from smtpd.listener import hello, mailing, parameters
from smtpd.listener.requests import (
    Chunk,
    Close,
    Expand,
    Kind,
    Question,
    Verify,
)
from smtpd.listener.state import Refused, State
from smtpd.paths import BadPath
from smtpd.replies import Reply

# Somebody speaks HTTP or TLS to us, or makes a browser do it.
_WRONG_PROTOCOL = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|HOST:|\x16\x03)",
    re.IGNORECASE,
)
_VERB = re.compile(rb"[A-Za-z0-9]+")
# Known from RFC 821 and 1985, and not for us.
_NOT_IMPLEMENTED = frozenset((b"TURN", b"ETRN", b"SEND", b"SOML", b"SAML"))
_UTF8_WORD = re.compile(rb" +SMTPUTF8$", re.IGNORECASE)

Answer = Reply | Question | Chunk | Close
Verb = Callable[[State, bytes], Answer]


def obey(state: State, line: bytes) -> Answer:
    """Do what a line says; a Question: the reply comes later."""
    if state.exchange is not None:
        return hello.go_on(state, line)
    if _WRONG_PROTOCOL.match(line):
        return Close()
    match = _VERB.match(line)
    name = match.group().upper() if match else b""
    argument = line[len(name) :]
    try:
        _refuse_out_of_hand(state, name, len(line))
        verb = _verbs(state.kind).get(name)
        if verb is None or argument[:1] not in (b"", b" "):
            raise Refused(replies.UNKNOWN_COMMAND)
        return verb(state, argument.strip(b" "))
    except (Refused, BadPath, parameters.BadParameters) as error:
        return error.reply


def _refuse_out_of_hand(state: State, name: bytes, length: int) -> None:
    """What no verb needs to look at."""
    if length + 2 > state.limits.command_line and name != b"AUTH":
        raise Refused(replies.LINE_TOO_LONG)
    if state.is_unwelcome and name != b"QUIT":
        raise Refused(replies.UNWELCOME)
    if name in _NOT_IMPLEMENTED:
        raise Refused(replies.NOT_IMPLEMENTED)


def _noop(state: State, argument: bytes) -> Reply:
    return replies.OK


def _help(state: State, argument: bytes) -> Reply:
    """RFC 5321 4.1.1.8: the verbs that work now."""
    names = [name.decode() for name in _verbs(state.kind)]
    hidden = {
        "STARTTLS": not state.has_certificate or state.client.is_secure,
        "AUTH": not state.offers_auth or not state.client.is_secure,
        "EXPN": not state.client.may_expand,
    }
    return replies.HELP.with_text(" ".join(n for n in names if not hidden.get(n)))


def _quit(state: State, argument: bytes) -> Reply:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    return replies.BYE


def _vrfy(state: State, argument: bytes) -> Reply | Verify:
    """RFC 5321 3.5: strangers learn nothing, and that is no error (7.3)."""
    text = _words(argument)
    if state.client.account is None:
        return replies.CANNOT_VRFY
    return Verify(text)


def _expn(state: State, argument: bytes) -> Reply | Expand:
    """RFC 5321 3.5.2: works for those to whom EHLO announces it."""
    text = _words(argument)
    if state.client.account is None:
        return replies.NOT_IMPLEMENTED
    return Expand(text)


def _words(argument: bytes) -> str:
    """What VRFY and EXPN are about; UTF-8 only when asked for (RFC 6531 3.7.4.2)."""
    text = _UTF8_WORD.sub(b"", argument)
    if not text or (text.isascii() is False and text == argument):
        raise Refused(replies.BAD_ARGUMENT)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Refused(replies.BAD_ARGUMENT) from None


def _verbs(kind: Kind) -> dict[bytes, Verb]:
    return _OF_LMTP if kind is Kind.LMTP else _OF_SMTP


_OF_ALL: dict[bytes, Verb] = {
    b"MAIL": mailing.mail,
    b"RCPT": mailing.rcpt,
    b"DATA": mailing.data,
    b"BDAT": mailing.bdat,
    b"RSET": mailing.rset,
    b"NOOP": _noop,
    b"HELP": _help,
    b"VRFY": _vrfy,
    b"EXPN": _expn,
    b"QUIT": _quit,
    b"STARTTLS": hello.starttls,
    b"AUTH": hello.authenticate,
}
_OF_SMTP: dict[bytes, Verb] = {b"EHLO": hello.ehlo, b"HELO": hello.helo, **_OF_ALL}
_OF_LMTP: dict[bytes, Verb] = {b"LHLO": hello.ehlo, **_OF_ALL}
