"""When so many fail at once that it is nobody's own fault. Pure."""

from __future__ import annotations


def is_wave(failed: int, total: int, *, least: int, percent: int) -> bool:
    """More than `least` of them, and more than `percent` of all."""
    return failed > least and failed * 100 > total * percent
