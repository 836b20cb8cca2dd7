"""The content of a message as it comes in behind DATA. Pure.

Only CR LF . CR LF ends it (RFC 5321 4.1.1.4): every other form that a lenient
server would take for the end is how a second message is smuggled in. What is
not lawful is noted, read to the true end, and refused there.
"""

from __future__ import annotations

from smtpd.listener.inspection import CRLF, Inspection

END = b"\r\n.\r\n"


class Content:
    """Finds the end, takes the stuffed dots out, and notes what is wrong.

    However the octets are cut into pieces, the result is the same, and no
    more than the start of an end mark is ever kept.
    """

    # No more of the message comes behind it.
    is_last = True

    def __init__(self, *, line_limit: int) -> None:
        self.inspection = Inspection(line_limit=line_limit)
        # Octets of content so far, without stuffed dots and the end.
        self.size = 0
        # Octets read from the client for it.
        self.taken = 0
        self.is_complete = False
        # A dot right behind the command ends an empty message: as if the
        # CRLF of DATA were the first line end.
        self._carry = CRLF
        self._virtual = len(CRLF)

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
        self.inspection.look_at(piece)
        piece = piece.replace(b"\r\n.", CRLF)
        if self._virtual:
            piece = piece[self._virtual :]
            self._virtual = 0
        self.size += len(piece)
        return piece


def _undecided(buffer: bytes) -> int:
    """How many of the last octets may be the start of an end mark."""
    for length in range(min(len(END) - 1, len(buffer)), 0, -1):
        if END.startswith(buffer[-length:]):
            return length
    return 0
