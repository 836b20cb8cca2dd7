"""Where the content of a message is until it is stored."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import SpooledTemporaryFile


class NoRoom(Exception):
    """So many large messages are coming in that this one has to wait."""


class Room:
    """How many octets all the files of a listener may have together.

    What is in memory does not count: a small message is taken however many
    large ones are on their way.
    """

    def __init__(self, octets: int) -> None:
        self.left = octets
        # Files are closed in threads.
        self._lock = threading.Lock()

    def take(self, octets: int) -> None:
        """Give octets to a file; raise NoRoom when there are not so many."""
        with self._lock:
            if octets > self.left:
                raise NoRoom
            self.left -= octets

    def give_back(self, octets: int) -> None:
        """Have them again."""
        with self._lock:
            self.left += octets


class Spool:
    """One message's content: a little in memory, more in a nameless file.

    The file vanishes with the process: nothing is promised for it yet.
    """

    def __init__(self, folder: Path, *, memory: int, room: Room) -> None:
        self.size = 0
        self._memory = memory
        self._room = room
        # What we have of the room.
        self._taken = 0
        self._file = SpooledTemporaryFile(  # noqa: SIM115 - lives longer than this
            max_size=memory, dir=str(folder)
        )

    def write(self, data: bytes) -> None:
        """Put data behind what is there; raise NoRoom or OSError."""
        size = self.size + len(data)
        if size > self._memory:
            self._room.take(size - self._taken)
            self._taken = size
        self._file.write(data)
        self.size = size

    def read(self) -> bytes:
        """Return the whole of it."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Throw it away; twice does no harm."""
        self._file.close()
        self._room.give_back(self._taken)
        self._taken = 0
