"""Where the content of a message is until it is stored."""

from __future__ import annotations

from pathlib import Path
from tempfile import SpooledTemporaryFile


class Spool:
    """One message's content: a little in memory, more in a nameless file.

    The file vanishes with the process: nothing is promised for it yet.
    """

    def __init__(self, folder: Path, *, memory: int) -> None:
        self.size = 0
        self._file = SpooledTemporaryFile(  # noqa: SIM115 - lives longer than this
            max_size=memory, dir=str(folder)
        )

    def write(self, data: bytes) -> None:
        """Put data behind what is there."""
        self._file.write(data)
        self.size += len(data)

    def read(self) -> bytes:
        """Return the whole of it."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Throw it away; twice does no harm."""
        self._file.close()
