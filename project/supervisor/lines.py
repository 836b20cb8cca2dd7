"""One log of many parts: each line says whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

_COLOURS = {"broker": 35, "web": 34, "smtpd": 32, "worker": 33}
_WIDTH = 8
# A line longer than this is cut in two rather than kept.
_LONGEST = 65536


def wants_colour(out: TextIO, env: Mapping[str, str]) -> bool:
    """Follow no-color.org: only for a terminal, and not when NO_COLOR is set."""
    return out.isatty() and not env.get("NO_COLOR")


def prefix(name: str, *, colour: bool) -> str:
    """Return what stands before each line of this part."""
    label = f"{name:<{_WIDTH}}│ "
    code = _COLOURS.get(name.split("-")[0])
    return f"\x1b[{code}m{label}\x1b[0m" if colour and code else label


class Lines:
    """Bytes in as they come from a pipe, whole lines out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take some bytes; no bytes at all means the end, and frees the rest."""
        whole = self._rest + data
        if not data or len(whole) > _LONGEST:
            whole += b"\n" if whole else b""
        *ready, self._rest = whole.split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in ready]
