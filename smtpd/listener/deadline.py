"""A time limit that moves with every read and costs next to nothing."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Raises TimeoutError in the block that is under way when its time is over.

    asyncio.timeout arms a timer each time; this one arms a timer when there is
    none and looks, when that fires, whether the time has moved on meanwhile.
    Made in the task whose blocks it limits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_over = False

    def until(self, at: float) -> Deadline:
        """Set the limit of the block that begins now, by the loop's clock."""
        self._at = at
        if self._timer is None or self._timer.when() > at:
            self._arm()
        return self

    @property
    def is_running(self) -> bool:
        """Whether a block is under way."""
        return self._task is not None

    def move(self, at: float) -> None:
        """Set another limit for the block that is under way."""
        if self._task is not None:
            self.until(at)

    def close(self) -> None:
        """No block comes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        is_over, self._is_over = self._is_over, False
        assert task is not None
        if is_over and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _arm(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._at > self._loop.time():
            self._arm()
        else:
            self._is_over = True
            self._task.cancel()
