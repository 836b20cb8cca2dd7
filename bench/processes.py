"""What a process uses, as Linux counts it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.stack import Stack

MIB = 1024 * 1024


def listeners(stack: Stack) -> list[int]:
    """The processes that take mail."""
    return [
        process.pid
        for name, process in stack.processes.items()
        if name.startswith("smtpd")
    ]


def cpu_seconds(pids: list[int]) -> float:
    """What they have used so far, for themselves and in the kernel."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def held(pid: int) -> float:
    """MiB of proportional set size now."""
    return _kib(Path(f"/proc/{pid}/smaps_rollup"), "Pss") / 1024


def peak(pid: int) -> float:
    """MiB of proportional set size at the peak since the last forget().

    Now, and what the resident set was above now; Linux keeps no peak of the first.
    """
    status = Path(f"/proc/{pid}/status")
    return held(pid) + (_kib(status, "VmHWM") - _kib(status, "VmRSS")) / 1024


def forget(pid: int) -> None:
    """Let the peak be what there is now (proc(5): 5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Peak:
    """The most memory a process holds, over what it held when this was made.

    Of the resident set, which the kernel keeps the peak of by itself; what is
    shared is in both and falls out.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        forget(pid)
        self._before = _kib(self._status, "VmRSS")

    @property
    def grown(self) -> float:
        """MiB over the beginning, at worst so far."""
        return (_kib(self._status, "VmHWM") - self._before) / 1024


def _kib(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", path.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
