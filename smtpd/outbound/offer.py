"""What a server offers, and the commands in front of a message that follow. Pure.

A message that needs 8BITMIME goes as it is to a server that does not offer
it: nearly all of them take it, and we do not change what others signed.
One that needs SMTPUTF8 cannot (RFC 6531 3.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from smtpd.dsn import Action
from smtpd.outbound.results import Outcome, Result
from smtpd.outbound.transaction import Transaction

_DSN = "DSN"
# RFC 5321 4.1.2, as far as it keeps one command one command.
_MAILBOX = re.compile(
    r'(?:"(?:[^\x00-\x1f\x7f"\\]|\\[ -~])*"|[^\x00-\x20\x7f<>"\\@]+)'
    r"@[^\x00-\x20\x7f<>@]+"
)
_NO_MAILBOX = Result(Outcome.FAILED, None, "5.1.3", "not a mailbox")
_NO_UTF8 = "the next server does not take internationalised mail"
_TOO_BIG = "the message is larger than the next server takes"


@dataclass(slots=True)
class Offer:
    """The EHLO of one server; nothing after it stumbled over its own words."""

    host: str
    extensions: dict[str, str] = field(default_factory=dict)
    # RFC 1870 4; 0: none was named.
    size_limit: int = 0

    @property
    def pipelines(self) -> bool:
        """RFC 2920."""
        return "PIPELINING" in self.extensions

    def withdraw(self) -> None:
        """Plain words from now on."""
        self.extensions = {}

    def screen(self, transaction: Transaction) -> None:
        """Settle what need not be asked (RFC 1870 6.1, RFC 6531 3.5)."""
        transaction.results = [
            None if _MAILBOX.fullmatch(recipient) else _NO_MAILBOX
            for recipient in transaction.recipients
        ]
        if (refusal := self._refusal(transaction)) is not None:
            transaction.settle(refusal)

    def _refusal(self, transaction: Transaction) -> Result | None:
        sender = transaction.reverse_path
        if sender and not _MAILBOX.fullmatch(sender):
            return Result(Outcome.FAILED, None, "5.1.7", _NO_MAILBOX.text)
        if self.size_limit and transaction.size > self.size_limit:
            return Result(Outcome.FAILED, None, "5.3.4", _TOO_BIG, self.host)
        if transaction.is_utf8 and "SMTPUTF8" not in self.extensions:
            return Result(Outcome.FAILED, None, "5.6.7", _NO_UTF8, self.host)
        return None

    def envelope(self, transaction: Transaction) -> list[bytes]:
        """MAIL, RCPT for everybody who is not settled, DATA."""
        mail = f"MAIL FROM:<{transaction.reverse_path}>"
        if "SIZE" in self.extensions:
            mail += f" SIZE={transaction.size}"
        if transaction.needs_8bit and "8BITMIME" in self.extensions:
            mail += " BODY=8BITMIME"
        if transaction.is_utf8:
            mail += " SMTPUTF8"
        asked = ""
        if _DSN in self.extensions:
            mail += transaction.request.of_mail
            asked = transaction.request.of_rcpt(utf8=transaction.is_utf8)
        recipients = [
            f"RCPT TO:<{recipient}>{asked}\r\n".encode()
            for recipient, known in zip(
                transaction.recipients, transaction.results, strict=True
            )
            if known is None
        ]
        return [f"{mail}\r\n".encode(), *recipients, b"DATA\r\n"]

    def owes_report(self, transaction: Transaction) -> bool:
        """RFC 3461 5.2.2: a server without DSN leaves telling of success to us."""
        wish = transaction.request.wish
        return _DSN not in self.extensions and wish.asks_for(Action.RELAYED)
