"""What is not lawful in the content of a message, noted as it comes in. Pure."""

from __future__ import annotations

CRLF = b"\r\n"


class Inspection:
    """Looks at content piece by piece, however it is cut."""

    def __init__(self, *, line_limit: int) -> None:
        self.line_limit = line_limit
        self.has_bare_line_end = False
        self.has_nul = False
        self.has_long_line = False
        # A CR at the end of a piece: lawful if the next one begins with LF.
        self._carry = b""
        # Of the line that has not ended yet.
        self._line = 0

    def look_at(self, piece: bytes) -> None:
        """Note what is wrong with a piece."""
        piece = self._carry + piece
        self._carry = b"\r" if piece.endswith(b"\r") else b""
        piece = piece[: len(piece) - len(self._carry)]
        pairs = piece.count(CRLF)
        if piece.count(b"\r") != pairs or piece.count(b"\n") != pairs:
            self.has_bare_line_end = True
        if b"\0" in piece:
            self.has_nul = True
        self._measure(piece)

    def end(self) -> None:
        """Nothing more comes."""
        if self._carry:
            self.has_bare_line_end = True

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
