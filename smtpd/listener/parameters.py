"""The parameters of MAIL and RCPT (RFC 5321 4.1.2, Mail-parameters). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smtpd import replies
from smtpd.replies import Reply

_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
# RFC 1870 6: up to twenty digits.
_SIZE = re.compile(rb"[0-9]{1,20}")


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


def mail(text: bytes) -> Mail:
    """Read SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531)."""
    found = _split(text)
    _refuse_others(found, (b"SIZE", b"BODY", b"SMTPUTF8"))
    size = found.get(b"SIZE", b"0")
    body = found.get(b"BODY", b"7BIT") or b""
    if size is None or not _SIZE.fullmatch(size):
        raise BadParameters(replies.BAD_PARAMETER)
    if body.upper() not in (b"7BIT", b"8BITMIME"):
        raise BadParameters(replies.BAD_PARAMETER)
    if found.get(b"SMTPUTF8") is not None:
        raise BadParameters(replies.BAD_PARAMETER)
    return Mail(int(size), body.upper() == b"8BITMIME", b"SMTPUTF8" in found)


def rcpt(text: bytes) -> None:
    """Refuse every parameter of RCPT: we announce no extension that has one."""
    _refuse_others(_split(text), ())


def _refuse_others(
    found: Mapping[bytes, bytes | None], known: tuple[bytes, ...]
) -> None:
    if not found.keys() <= set(known):
        raise BadParameters(replies.UNKNOWN_PARAMETER)


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
