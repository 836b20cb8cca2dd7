"""Disks that are small, full, or fail when told to write to the platter."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stack import wait_until

_PIECE = b"\0" * 65_536


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder with a disk of its own; skip where we may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="moot-disk-"))
    options = f"size={megabytes}m,mode=755"
    command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        try:
            yield folder
        finally:
            subprocess.run(("umount", "-l", str(folder)), check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def filled(folder: Path, *, leave: int = 0) -> Iterator[None]:
    """Have no more than `leave` octets free on its disk meanwhile."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while shutil.disk_usage(folder).free > leave:
                try:
                    file.write(_PIECE)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def tampered_sync(pids: Sequence[int], how: str) -> Iterator[None]:
    """Have fdatasync fail or take its time in these processes meanwhile.

    `how` is strace's: `error=EIO:when=3` is the third call, `3+2` every other one
    behind it too; `delay_enter=1s` makes each wait.
    """
    calls = "fdatasync,fsync"
    inject = f"inject={calls}:{how}"
    quiet = ("-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}")
    to = [argument for pid in pids for argument in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ("strace", *quiet, "-e", inject, *to),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # A first call that fails may be the end of them all.
        wait_until(lambda: any(map(is_traced, pids)) or _is_over(tracer), 10, "strace")
        assert not tracer.poll(), "strace could not hold them"
        yield
    finally:
        tracer.terminate()
        tracer.wait(20)


def need_strace() -> None:
    """Skip where there is none, or it may not hold a process it did not start."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    is_tight = scope.exists() and scope.read_text().strip() != "0"
    if shutil.which("strace") is None or (os.geteuid() and is_tight):
        pytest.skip("needs strace, and the right to trace processes")


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def is_traced(pid: int) -> bool:
    """Whether somebody holds it."""
    with contextlib.suppress(OSError):
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    return False
