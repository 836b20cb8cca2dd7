"""New listeners in place of the old ones, one after the other.

The new one starts beside the old one, on the same sockets. When it answers, the
old one is told to end, and serves who is connected. If it does not come up, the
old ones stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from project.supervisor.child import Child

# For the last clients of a listener that was replaced.
_DRAIN_SECONDS = 60.0


class Turnover:
    """Who is to be replaced, who replaces, and who has been."""

    def __init__(self, start: Callable[[Child], None]) -> None:
        self._start = start
        self._names: list[str] = []
        self._new: Child | None = None
        self._old: list[tuple[Child, float]] = []

    def begin(self, names: list[str]) -> None:
        """Replace these; whoever is being replaced now is replaced again."""
        self._names = list(names)

    def children(self) -> list[Child]:
        """Those that run beside the site's parts."""
        return [child for child, _ in self._old] + ([self._new] if self._new else [])

    def step(self, parts: dict[str, Child], say: Callable[[str, str], None]) -> None:
        """Do what can be done now, without waiting for anything."""
        now = time.monotonic()
        for child, until in self._old:
            if now > until:
                child.kill()
        self._old = [each for each in self._old if each[0].is_running]
        if self._new is not None:
            self._settle(self._new, parts, say)
        elif self._names:
            part = parts[self._names.pop(0)]
            self._new = Child(part.part, part.bound, is_fresh=True)
            self._start(self._new)

    def _settle(
        self, new: Child, parts: dict[str, Child], say: Callable[[str, str], None]
    ) -> None:
        name = new.part.name
        if new.is_running and new.is_ready:
            old, parts[name] = parts[name], new
            old.stop()
            self._old.append((old, time.monotonic() + _DRAIN_SECONDS))
            say(name, "replaced")
            self._new = None
        elif not new.is_running:
            say(name, "not replaced: the new one did not come up")
            self._new, self._names = None, []
