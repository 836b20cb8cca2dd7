"""One envelope with its copy: what a connection is given to send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smtpd.dsn import NO_REQUEST, Request
from smtpd.outbound.results import Result


@dataclass(slots=True)
class Transaction:
    """One envelope with one copy, and what became of each recipient."""

    reverse_path: str
    recipients: Sequence[str]
    # Gives the stuffed message with its final dot, when it is wanted.
    data: Callable[[], bytes]
    size: int = 0
    needs_8bit: bool = False
    needs_utf8: bool = False
    # What the server shall tell the sender (RFC 3461).
    request: Request = NO_REQUEST
    # One for each recipient in the end.
    results: list[Result | None] = field(default_factory=list)
    # How often a fresh connection was lost over it before the server had the
    # message, and what the last loss looked like.
    losses: int = 0
    loss: Result | None = None
    # The server did not understand an extension it had offered: none for this.
    is_plain: bool = False

    def settle(self, outcome: Result) -> None:
        """Give those without a result this one."""
        self.results = [known or outcome for known in self.results]

    @property
    def is_utf8(self) -> bool:
        """RFC 6531: an address or a header field outside ASCII."""
        return self.needs_utf8 or not (
            self.reverse_path.isascii() and all(map(str.isascii, self.recipients))
        )
