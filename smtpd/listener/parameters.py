"""The parameters of MAIL and RCPT (RFC 5321 4.1.2, Mail-parameters). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smtpd import dsn, replies
from smtpd.replies import Reply

# RFC 6531 3.3 lets values have UTF-8; which ones may, each says itself.
_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?")
# RFC 1870 6: up to twenty digits.
_SIZE = re.compile(rb"[0-9]{1,20}")
_MAIL = (b"SIZE", b"BODY", b"SMTPUTF8", b"RET", b"ENVID")
_RCPT = (b"NOTIFY", b"ORCPT")

Found = Mapping[bytes, bytes | None]


class BadParameters(ValueError):
    """Parameters that we do not take; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Mail:
    """What the client asked for with MAIL."""

    size: int = 0
    needs_8bit: bool = False
    needs_utf8: bool = False
    # RFC 3461 4.3: FULL, HDRS or nothing.
    ret: str = ""
    # RFC 3461 4.4, as it came.
    envid: str = ""


@dataclass(frozen=True, slots=True)
class Rcpt:
    """What the client asked for with RCPT."""

    # RFC 3461 4.1: NEVER, or SUCCESS,FAILURE,DELAY as far as they were named.
    notify: str = ""
    # RFC 3461 4.2, as it came.
    orcpt: str = ""


def mail(text: bytes, *, auth: bool = False) -> Mail:
    """Read SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8, RET and ENVID.

    AUTH (RFC 4954 5) is read where it is offered and believed nowhere: who
    wrote a message is who logged in.
    """
    found = _split(text)
    _refuse_others(found, (*_MAIL, b"AUTH") if auth else _MAIL)
    size = found.get(b"SIZE", b"0")
    body = _word(found, b"BODY", b"7BIT")
    ret = _word(found, b"RET")
    envid = _value(found, b"ENVID")
    sender = _value(found, b"AUTH")
    faults = (
        size is None or not _SIZE.fullmatch(size),
        body not in ("7BIT", "8BITMIME"),
        found.get(b"SMTPUTF8") is not None,
        ret not in ("", "FULL", "HDRS"),
        envid != "" and not dsn.is_envid(envid),
        sender not in ("", "<>") and not dsn.is_xtext(sender),
    )
    if any(faults):
        raise BadParameters(replies.BAD_PARAMETER)
    return Mail(int(size or 0), body == "8BITMIME", b"SMTPUTF8" in found, ret, envid)


def rcpt(text: bytes, *, utf8: bool = False) -> Rcpt:
    """Read NOTIFY and ORCPT (RFC 3461 4); utf8: SMTPUTF8 was asked for."""
    found = _split(text)
    _refuse_others(found, _RCPT)
    asked, orcpt = _value(found, b"NOTIFY"), _value(found, b"ORCPT")
    notify = dsn.notify(asked) if asked else ""
    if notify is None or (orcpt and not dsn.is_orcpt(orcpt, utf8=utf8)):
        raise BadParameters(replies.BAD_PARAMETER)
    return Rcpt(notify, orcpt)


def _refuse_others(found: Found, known: tuple[bytes, ...]) -> None:
    if not found.keys() <= set(known):
        raise BadParameters(replies.UNKNOWN_PARAMETER)


def _word(found: Found, name: bytes, default: bytes = b"") -> str:
    """A keyword, in upper case; "" when it was not given."""
    return _value(found, name, default).upper()


def _value(found: Found, name: bytes, default: bytes = b"") -> str:
    """A value; a name that needs one and has none is wrong."""
    value = found.get(name, default)
    if value is None:
        raise BadParameters(replies.BAD_PARAMETER)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadParameters(replies.BAD_PARAMETER) from None


def _split(text: bytes) -> dict[bytes, bytes | None]:
    """The parameters by their upper-case names; None for one without a value."""
    found: dict[bytes, bytes | None] = {}
    if text.strip(b" ") and not text.startswith(b" "):
        raise BadParameters(replies.BAD_PARAMETER)
    for word in filter(None, text.split(b" ")):
        match = _PARAMETER.fullmatch(word)
        name = match.group(1).upper() if match else b""
        if match is None or name in found:
            raise BadParameters(replies.BAD_PARAMETER)
        found[name] = match.group(2)
    return found
