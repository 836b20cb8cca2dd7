"""The database in threads of ours: Django gives each a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from django.db import connection

from smtpd.statements import Hints

T = TypeVar("T")


class _Here(threading.local):
    def __init__(self) -> None:
        self.hints = Hints()


_here = _Here()


def safely(action: Callable[..., T], *args: object) -> T:
    """Run it; a broken connection is not kept."""
    try:
        found = action(*args)
    except Exception:
        connection.close()
        raise
    _here.hints.tell()
    return found


def leave_database() -> None:
    """The thread ends."""
    connection.close()
