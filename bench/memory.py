"""What everything that ./run starts holds in memory when nothing happens."""

from __future__ import annotations

import os
import shutil
import smtplib
import tempfile
import time
from pathlib import Path

from tests.stack import wait_until
from tests.up import environment, memory, name_of, running


def figures(runs: int, scale: float) -> list[str]:
    """One sentence; neither more nor smaller runs change it."""
    held = idle(os.cpu_count() or 1)
    names = ", ".join(f"{name.split(' ')[0]} {size}" for name, size in held.items())
    return [f"Idle, everything ./run starts, MiB PSS: {sum(held.values())} ({names})."]


def idle(workers: int) -> dict[str, int]:
    """MiB of proportional set size by process, behind one post to the demo list."""
    data = Path(tempfile.mkdtemp(prefix="moot-bench-"))
    env = environment(data, workers=workers)
    try:
        with running(data, env) as up:
            wait_until(lambda: "ready." in up.said(), 60, "the worker is ready")
            _post(int(env["SMTP_BIND"].rpartition(":")[2]))
            time.sleep(15)
            return {
                f"{name_of(pid)} ({pid})": memory(pid) // 1024
                for pid in [up.process.pid, *up.children()]
            }
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _post(port: int) -> None:
    raw = b"From: olga@example.org\r\nMessage-ID: <1@bench.test>\r\n\r\nHello.\r\n"
    with smtplib.SMTP("127.0.0.1", port, "bench.test") as client:
        client.sendmail("olga@example.org", ["talk@lists.localhost"], raw)
