"""The content of a message as it comes in behind DATA. Pure.

Only CR LF . CR LF ends it (RFC 5321 4.1.1.4): every other form that a lenient
server would take for the end is how a second message is smuggled in. What is
not lawful is noted, read to the true end, and refused there.
"""

from __future__ import annotations

CRLF = b"\r\n"
END = b"\r\n.\r\n"


class Content:
    """Finds the end, takes the stuffed dots out, and notes what is wrong.

    However the octets are cut into pieces, the result is the same, and no
    more than the start of an end mark is ever kept.
    """

    def __init__(self, *, line_limit: int) -> None:
        self.line_limit = line_limit
        # Octets of content so far, without stuffed dots and the end.
        self.size = 0
        # Octets read from the client for it.
        self.taken = 0
        self.is_complete = False
        self.has_bare_line_end = False
        self.has_nul = False
        self.has_long_line = False
        # A dot right behind the command ends an empty message: as if the
        # CRLF of DATA were the first line end.
        self._carry = CRLF
        self._virtual = len(CRLF)
        # Of the line that has not ended yet.
        self._line = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take a piece; return what of it is content, and what comes behind the end.

        The second part is empty until is_complete.
        """
        buffer = self._carry + data
        end = buffer.find(END)
        if end >= 0:
            self.is_complete = True
            piece, rest = buffer[: end + len(CRLF)], buffer[end + len(END) :]
            self._carry = b""
        else:
            cut = len(buffer) - _undecided(buffer)
            piece, rest = buffer[:cut], b""
            self._carry = buffer[cut:]
        self.taken += len(data) - len(rest)
        return self._unstuff(piece), rest

    def _unstuff(self, piece: bytes) -> bytes:
        """RFC 5321 4.5.2: the first dot of a line goes away.

        A piece never ends inside CR LF dot, so no line start is missed.
        """
        if not piece:
            return b""
        self._inspect(piece)
        piece = piece.replace(b"\r\n.", CRLF)
        if self._virtual:
            piece = piece[self._virtual :]
            self._virtual = 0
        self.size += len(piece)
        return piece

    def _inspect(self, piece: bytes) -> None:
        pairs = piece.count(CRLF)
        if piece.count(b"\r") != pairs or piece.count(b"\n") != pairs:
            self.has_bare_line_end = True
        if b"\0" in piece:
            self.has_nul = True
        self._measure(piece)

    def _measure(self, piece: bytes) -> None:
        """Look for a line over the limit, in steps of the limit."""
        at, before = 0, self._line
        while len(piece) - at + before > self.line_limit:
            reach = at + max(self.line_limit - before, 0) + len(CRLF)
            last = piece.rfind(CRLF, at, reach)
            if last < 0:
                self.has_long_line = True
                last = piece.find(CRLF, at)
            if last < 0:
                break
            at, before = last + len(CRLF), 0
        start = piece.rfind(CRLF, at)
        if start >= 0:
            at, before = start + len(CRLF), 0
        self._line = before + len(piece) - at


def _undecided(buffer: bytes) -> int:
    """How many of the last octets may be the start of an end mark."""
    for length in range(min(len(END) - 1, len(buffer)), 0, -1):
        if END.startswith(buffer[-length:]):
            return length
    return 0
