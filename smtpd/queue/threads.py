"""The database in threads of ours: Django gives each a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def safely(action: Callable[..., T], *args: object) -> T:
    """Run it; a broken connection is not kept."""
    try:
        return action(*args)
    except Exception:
        connection.close()
        raise


def leave_database() -> None:
    """The thread ends."""
    connection.close()
