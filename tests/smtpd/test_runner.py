"""Which ports a process opens."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from smtpd.listener.runner import Options, run


def test_a_site_that_only_sends_answers_nowhere(tmp_path: Path) -> None:
    """RFC 7504: nobody is there to say 521."""
    opened: list[str] = []

    def ready(names: list[str]) -> None:
        opened.extend(names)
        os.kill(os.getpid(), signal.SIGTERM)

    options = Options(hostname="mx.test", bind="", spool=tmp_path)
    asyncio.run(run(options, ready))
    assert opened == []
