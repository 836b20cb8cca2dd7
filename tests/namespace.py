"""A network of its own, behind a cable from here: other machines, for tests.

    with start_namespace() as far:
        subprocess.run([*far.within, "ip", "addr"])

Only root may make one; where that is not allowed the test is skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

# TEST-NET-2 of RFC 5737: nobody's machines are there.
HERE, THERE, NOBODY = "198.51.100.1", "198.51.100.2", "198.51.100.3"
_BITS = 29


@dataclass(frozen=True)
class Namespace:
    """The other end: it has the address THERE, and this one HERE."""

    name: str

    @property
    def within(self) -> tuple[str, ...]:
        """What stands before a command that runs there."""
        return ("ip", "netns", "exec", self.name)


def _ip(*words: str) -> None:
    done = subprocess.run(
        ("ip", *words), capture_output=True, text=True, timeout=20, check=False
    )
    if done.returncode:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")


@contextlib.contextmanager
def start_namespace() -> Iterator[Namespace]:
    """Make one, and leave nothing behind."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("only root, with iproute2, makes a network namespace")
    far = Namespace(f"folkmoot-{os.getpid()}")
    near_end, far_end = f"fm{os.getpid()}a", f"fm{os.getpid()}b"
    with contextlib.ExitStack() as cleanup:
        _ip("netns", "add", far.name)
        cleanup.callback(_ip, "netns", "delete", far.name)
        _ip("link", "add", near_end, "type", "veth", "peer", "name", far_end)
        cleanup.callback(_ip, "link", "delete", near_end)
        _ip("link", "set", far_end, "netns", far.name)
        _ip("address", "add", f"{HERE}/{_BITS}", "dev", near_end)
        _ip("link", "set", near_end, "up")
        for words in (
            ("address", "add", f"{THERE}/{_BITS}", "dev", far_end),
            ("link", "set", far_end, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-netns", far.name, *words)
        yield far
