"""The event loop that a workflow runs on again: time passes at once, and nothing is waited for without end."""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["PlaybackLoop", "StalledPlaybackError", "run_apart"]

T = TypeVar("T")
PATIENCE = 1.0  # real seconds to wait for a thread or a socket, once nothing else is left to do


class StalledPlaybackError(Exception):
    """Nothing is left to do, and the workflow still waits for something that is not on the record."""


class PlaybackLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing is ready."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int
    _selector: selectors.BaseSelector

    def __init__(self) -> None:
        super().__init__()
        self._time = 0.0

    def time(self) -> float:
        """Virtual seconds."""
        return self._time

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call it at once, on this thread: what it does besides is seen, and comes in the same order each time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:
            future.set_exception(error)
        return future

    def _drop_cancelled_timers(self) -> None:
        """Else the loop would drop them itself, find no other, and wait for ever."""
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1

    def _run_once(self) -> None:
        if not self._ready and not self._stopping:  # type: ignore[attr-defined]
            self._drop_cancelled_timers()
            if self._scheduled:
                due = math.nextafter(self._scheduled[0].when(), math.inf)  # a late time is no exact number of seconds
                self._time = max(self._time, due)
            else:
                self._process_events(self._selector.select(PATIENCE))  # type: ignore[attr-defined]
                if not self._ready:
                    raise StalledPlaybackError("it waits for something that is not on the record")
        super()._run_once()  # type: ignore[misc]


def run_apart(call: Callable[[], T]) -> T:
    """Call on a thread of its own, where no loop runs and no profile is on, and return what it returns."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="agentrt replay", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
