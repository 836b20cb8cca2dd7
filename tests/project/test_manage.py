"""`manage.py` in a shell."""

from __future__ import annotations

import subprocess
import sys

from django.conf import settings


def test_a_command_whose_reader_has_enough_ends_in_silence() -> None:
    with subprocess.Popen(
        (sys.executable, "manage.py", "diffsettings", "--all"),
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 1
