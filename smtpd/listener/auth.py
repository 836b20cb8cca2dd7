"""AUTH: the exchange of lines that ends in a name and a password. Pure.

RFC 4954, with PLAIN (RFC 4616) and LOGIN. Nothing is checked here but form.
"""

from __future__ import annotations

import base64
import binascii

from smtpd import replies
from smtpd.listener.requests import Authenticate
from smtpd.replies import Reply

MECHANISMS = ("PLAIN", "LOGIN")
# RFC 4954 4: how long a line of the exchange may be.
LINE_OCTETS = 12_288


class BadExchange(ValueError):
    """Not what the mechanism wants to hear; `reply` ends the exchange."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Exchange:
    """One AUTH, from the command to the last line of the client."""

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self._name: str | None = None

    def prompt(self) -> Reply:
        """What the client is asked for now."""
        if self.mechanism == "PLAIN":
            return replies.AUTH_GO_ON
        return replies.AUTH_NAME if self._name is None else replies.AUTH_PASSWORD

    def take(self, line: bytes) -> Reply | Authenticate:
        """Read a line; the next prompt, or what has to be checked.

        Raise BadExchange when it is over without either.
        """
        if line == b"*":
            raise BadExchange(replies.AUTH_CANCELLED)
        answer = _decoded(line)
        if self.mechanism == "PLAIN":
            return _plain(answer)
        if self._name is None:
            self._name = answer
            return self.prompt()
        return Authenticate(self._name, answer)


def _plain(answer: str) -> Authenticate:
    """RFC 4616 2: authorization identity, NUL, name, NUL, password."""
    parts = answer.split("\0")
    if len(parts) != 3:
        raise BadExchange(replies.BAD_BASE64)
    authorization, name, password = parts
    if authorization not in ("", name):
        raise BadExchange(replies.BAD_CREDENTIALS)
    return Authenticate(name, password)


def _decoded(line: bytes) -> str:
    try:
        return base64.b64decode(line, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadExchange(replies.BAD_BASE64) from None
