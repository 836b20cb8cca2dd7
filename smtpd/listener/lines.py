"""Command lines cut out of a stream of octets. Pure.

A line ends with CR LF and only there. A line that ends otherwise, or is too
long, is never a command, but it is answered, so that client and server stay
in step; and what follows a bare LF up to the next true end is none either.
"""

from __future__ import annotations

from smtpd import replies
from smtpd.replies import Reply


class Lines:
    """Holds what was read and not looked at yet; bounded by the limit."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.buffer = bytearray()
        # How much of an overlong line was thrown away already.
        self.skipped = 0
        self._is_tainted = False

    def next(self) -> bytes | Reply | None:
        """Return a line without its end, or what is wrong with it, or None yet."""
        end = self.buffer.find(b"\n")
        if end < 0:
            self._skip()
            return None
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        return self._fault(line) or line[:-2]

    def _fault(self, line: bytes) -> Reply | None:
        was_tainted = self._is_tainted
        self._is_tainted = not line.endswith(b"\r\n")
        length = len(line) + self.skipped
        self.skipped = 0
        if was_tainted or self._is_tainted:
            return replies.BAD_LINE_END
        if length > self.limit:
            return replies.LINE_TOO_LONG
        return replies.BAD_LINE_END if b"\r" in line[:-2] else None

    def _skip(self) -> None:
        """Keep no more of a line than is needed to see its end."""
        if len(self.buffer) <= self.limit:
            return
        kept = b"\r" if self.buffer.endswith(b"\r") else b""
        self.skipped += len(self.buffer) - len(kept)
        self.buffer[:] = kept
