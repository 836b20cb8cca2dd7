"""The verbs of SMTP and what they do to an envelope. Pure.

Each command is one line in, one reply out, except RCPT, whose reply has to be
looked up. A reply that refuses is raised, so that a verb reads as its rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from smtpd import paths, replies
from smtpd.listener import parameters
from smtpd.listener.limits import Limits
from smtpd.listener.requests import Close, Decide, Recipient, Transaction
from smtpd.paths import BadPath, Path
from smtpd.replies import Reply

# Somebody speaks HTTP or TLS to us, or makes a browser do it.
_WRONG_PROTOCOL = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|HOST:|\x16\x03)",
    re.IGNORECASE,
)
_VERB = re.compile(rb"[A-Za-z0-9]+")
# What may stand in a Received field without a second thought.
_NOT_A_NAME = re.compile(r"[^!#-'*-:;=?-\[\]-~]")
# Known from RFC 821, 1985 and 5321 3.5.2, and not for us.
_NOT_IMPLEMENTED = frozenset((b"EXPN", b"TURN", b"ETRN", b"SEND", b"SOML", b"SAML"))


class Refused(Exception):
    """A command that is answered with `reply` and changes nothing."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Commands:
    """What the client has said of itself and of its message so far."""

    def __init__(self, *, hostname: str, limits: Limits, has_certificate: bool) -> None:
        self.hostname = hostname
        self.limits = limits
        self.has_certificate = has_certificate
        # No message can be kept now.
        self.is_full = False
        self.is_secure = False
        self.helo = ""
        self.is_extended = False
        self.transaction: Transaction | None = None
        self._asked: Path | None = None

    def obey(self, line: bytes) -> Reply | Decide | Close:
        """Do what a line says; Decide: the reply is what `decided` gets."""
        if _WRONG_PROTOCOL.match(line):
            return Close()
        match = _VERB.match(line)
        verb = match.group().upper() if match else b""
        argument = line[len(verb) :]
        if verb in _NOT_IMPLEMENTED:
            return replies.NOT_IMPLEMENTED
        command = _COMMANDS.get(verb)
        if command is None or argument[:1] not in (b"", b" "):
            return replies.UNKNOWN_COMMAND
        try:
            return command(self, argument.strip(b" "))
        except (Refused, BadPath, parameters.BadParameters) as error:
            return error.reply

    def decided(self, reply: Reply, route: object) -> None:
        """Note what became of the forward-path that was looked up."""
        assert self.transaction is not None
        assert self._asked is not None
        if reply.is_positive:
            self.transaction.recipients.append(Recipient(self._asked, route))
        else:
            self.transaction.refused += 1
        self._asked = None

    def tls_started(self) -> None:
        """RFC 3207 4.2: what was said in the clear is forgotten."""
        self.transaction = None
        self.is_secure = True
        self.is_extended = False
        self.helo = ""

    @property
    def protocol(self) -> str:
        """The `with` keyword that fits (RFC 3848)."""
        secure = "S" if self.is_secure else ""
        return f"ESMTP{secure}" if self.is_extended else "SMTP"

    def _helo(self, argument: bytes) -> Reply:
        self._hello(argument, is_extended=False)
        return replies.HELLO.fill(hostname=self.hostname)

    def _ehlo(self, argument: bytes) -> Reply:
        self._hello(argument, is_extended=True)
        return replies.HELLO.with_text("\n".join([self.hostname, *self._extensions()]))

    def _hello(self, argument: bytes, *, is_extended: bool) -> None:
        """RFC 5321 4.1.4: any name will do, and it acts as RSET."""
        if not argument:
            raise Refused(replies.HELLO_NEEDS_NAME)
        name = argument.decode("ascii", "replace")[:255]
        self.helo = _NOT_A_NAME.sub("?", name)
        self.is_extended = is_extended
        self.transaction = None

    def _extensions(self) -> list[str]:
        names = ["PIPELINING", f"SIZE {self.limits.message_size}", "8BITMIME"]
        names += ["ENHANCEDSTATUSCODES", "SMTPUTF8"]
        if self.has_certificate and not self.is_secure:
            names.append("STARTTLS")
        return names

    def _mail(self, argument: bytes) -> Reply:
        if not self.helo:
            raise Refused(replies.HELLO_FIRST)
        if self.transaction is not None:
            raise Refused(replies.NESTED_MAIL)
        text = _behind(b"FROM:", argument)
        # Whether UTF-8 was asked for stands behind the path.
        path, rest = paths.reverse_path(text, utf8=True)
        asked = parameters.mail(rest)
        if not asked.needs_utf8 and not text[: len(text) - len(rest)].isascii():
            raise Refused(replies.NEEDS_SMTPUTF8)
        if asked.size > self.limits.message_size:
            raise Refused(replies.TOO_BIG.fill(size=self.limits.message_size))
        if self.is_full:
            raise Refused(replies.DISK_LOW)
        self.transaction = self._transaction(path, asked)
        return replies.SENDER_OK

    def _transaction(self, path: Path, asked: parameters.Mail) -> Transaction:
        protocol = self.protocol
        if asked.needs_utf8:
            # RFC 6531 4.3.
            protocol = protocol.replace("ESMTP", "UTF8SMTP")
        return Transaction(
            path,
            helo=self.helo,
            protocol=protocol,
            size=asked.size,
            needs_8bit=asked.needs_8bit,
            needs_utf8=asked.needs_utf8,
        )

    def _rcpt(self, argument: bytes) -> Reply | Decide:
        if self.transaction is None:
            raise Refused(replies.MAIL_FIRST)
        text = _behind(b"TO:", argument)
        # Until it is found good, it counts among the refused ones.
        self.transaction.refused += 1
        path, rest = paths.forward_path(text, utf8=self.transaction.needs_utf8)
        parameters.rcpt(rest)
        self.transaction.refused -= 1
        known = self.transaction.recipients
        if any(recipient.path == path for recipient in known):
            return replies.RCPT_OK
        if len(known) >= self.limits.recipients:
            raise Refused(replies.TOO_MANY_RECIPIENTS)
        self._asked = path
        return Decide(path)

    def _data(self, argument: bytes) -> Reply:
        _refuse_argument(argument)
        if self.transaction is None:
            raise Refused(replies.MAIL_FIRST)
        if not self.transaction.recipients:
            refused = self.transaction.refused
            raise Refused(replies.NO_RECIPIENTS if refused else replies.RCPT_FIRST)
        return replies.GO_AHEAD

    def _rset(self, argument: bytes) -> Reply:
        _refuse_argument(argument)
        self.transaction = None
        return replies.OK

    def _noop(self, argument: bytes) -> Reply:
        return replies.OK

    def _help(self, argument: bytes) -> Reply:
        return replies.HELP

    def _vrfy(self, argument: bytes) -> Reply:
        if not argument:
            raise Refused(replies.BAD_ARGUMENT)
        return replies.CANNOT_VRFY

    def _quit(self, argument: bytes) -> Reply:
        _refuse_argument(argument)
        return replies.BYE

    def _starttls(self, argument: bytes) -> Reply:
        _refuse_argument(argument)
        if not self.has_certificate:
            raise Refused(replies.NO_TLS)
        if self.is_secure:
            raise Refused(replies.TLS_ALREADY)
        return replies.READY_FOR_TLS


def _behind(keyword: bytes, argument: bytes) -> bytes:
    """What follows FROM: or TO:; a space there is wrong, common and harmless."""
    if argument[: len(keyword)].upper() != keyword:
        raise Refused(replies.BAD_ARGUMENT)
    return argument[len(keyword) :].lstrip(b" ")


def _refuse_argument(argument: bytes) -> None:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)


_COMMANDS: dict[bytes, Callable[[Commands, bytes], Reply | Decide]] = {
    b"HELO": Commands._helo,
    b"EHLO": Commands._ehlo,
    b"MAIL": Commands._mail,
    b"RCPT": Commands._rcpt,
    b"DATA": Commands._data,
    b"RSET": Commands._rset,
    b"NOOP": Commands._noop,
    b"HELP": Commands._help,
    b"VRFY": Commands._vrfy,
    b"QUIT": Commands._quit,
    b"STARTTLS": Commands._starttls,
}
