"""Subscriptions: the manager's records as an async iterator, on any loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from .events import Record, Ring

__all__ = ["Subscription"]


class Subscription:
    """Records from now on, of one runtime or of all.

    Bounded by the ring: `dropped` says how many were dropped before they were read, whichever runtime they were of.

    `async for record in runtime.subscribe(): ...` ends with its runtime or manager, after the last record; leave the
    loop or call `close()` to end it before. Several loops over one subscription share its records: each record goes to
    one of them. For all of them to see everything, subscribe once for each.
    """

    def __init__(
        self,
        ring: Ring,
        listeners: dict[Any, Callable[[], None]],
        ended: Callable[[], bool],
        runtime: str | None = None,
    ) -> None:
        self._ring = ring
        self._listeners = listeners
        self._ended = ended
        self._runtime = runtime
        self._cursor = ring.cursor
        self._ready: deque[Record] = deque()
        self._pulling = threading.RLock()  # those who iterate may do so on several loops
        self._waiting: dict[asyncio.Event, Callable[[], None]] = {}
        self._closed = False
        self.dropped = 0

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Record:
        while True:
            with suppress(IndexError):  # nothing is ready
                return self._ready.popleft()
            over = self._closed or self._ended()  # looked at before the last pull: nothing comes after it
            if self._closed or not self._pull():
                if over:
                    raise StopAsyncIteration
                await self._more()

    async def _more(self) -> None:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        # Listening first, pulling second: a record that comes in between sets the event.
        self._waiting[there] = self._listeners[there] = partial(_set, loop, there)
        try:
            if not self._pull() and not self._closed and not self._ended():
                await there.wait()
        finally:
            self._listeners.pop(there, None)
            self._waiting.pop(there, None)

    def _pull(self) -> bool:
        with self._pulling:
            records, self._cursor, missed = self._ring.since(self._cursor)
            self.dropped += missed
            self._ready.extend(r for r in records if self._runtime is None or r.runtime == self._runtime)
            return bool(self._ready)

    def close(self) -> None:
        """End the iteration after what is ready."""
        self._pull()
        self._closed = True
        for wake in tuple(self._waiting.values()):
            wake()


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if loop.is_closed() or event.is_set():
        return
    with suppress(RuntimeError):  # closed in between
        loop.call_soon_threadsafe(event.set)
