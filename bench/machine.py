"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess


def openssl_signatures(kind: str = "rsa2048", seconds: int = 2) -> float:
    """Signatures a second of all cores together: rsa2048 or ed25519."""
    size = ("-seconds", str(seconds), "-multi", str(os.cpu_count()))
    told = subprocess.run(
        ["openssl", "speed", *size, kind],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(told.stdout.strip().splitlines()[-1].split()[-2])


def description() -> str:
    """Hardware and versions, in one line."""
    model = _first_line("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2")
    parts = (
        f"{os.cpu_count()} cores ({model.strip()})",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        _first_line("psql", "--version"),
        _first_line("redis-server", "--version").split(" sha=")[0],
        _first_line("openssl", "version"),
    )
    return ", ".join(parts)


def _first_line(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return (told.stdout.strip().splitlines() or ["unknown"])[0]
