"""The content of a message as it comes in by BDAT (RFC 3030). Pure.

Counted octets have no end mark and no stuffed dots; what a line is, and what
may not stand in one, is the same as behind DATA: BINARYMIME is not offered.
"""

from __future__ import annotations

from smtpd.listener.inspection import CRLF, Inspection
from smtpd.listener.requests import Chunk
from smtpd.replies import Reply


class Chunks:
    """One message in as many pieces as the client likes."""

    def __init__(self, *, line_limit: int) -> None:
        self.inspection = Inspection(line_limit=line_limit)
        # Octets of content so far.
        self.size = 0
        self.is_last = False
        self._left = 0
        self._tail = b""

    @property
    def taken(self) -> int:
        """Octets read from the client for it."""
        return self.size

    @property
    def is_complete(self) -> bool:
        """Whether this chunk is whole."""
        return not self._left

    def begin(self, chunk: Chunk) -> None:
        """Expect the octets of one more BDAT."""
        self._left, self.is_last = chunk.size, chunk.is_last

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take octets; return what of them is content, and what comes behind."""
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self.inspection.look_at(piece)
        self.size += len(piece)
        self._tail = (self._tail + piece[-2:])[-2:]
        return piece, rest

    def end(self) -> bytes:
        """The line end that the last line wants: mail is text (RFC 5322 2.1)."""
        self.inspection.end()
        return b"" if not self.size or self._tail == CRLF else CRLF


class Waste:
    """A chunk that nobody wants: read, because it comes, and thrown away."""

    def __init__(self, size: int, refusal: Reply) -> None:
        self.refusal = refusal
        self.taken = 0
        self._left = size

    @property
    def is_complete(self) -> bool:
        """Whether all of it came."""
        return not self._left

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take octets; none of them is content."""
        taken = min(len(data), self._left)
        self._left -= taken
        self.taken += taken
        return b"", data[taken:]
