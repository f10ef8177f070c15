"""An observer that keeps what happened, and waits for it without sleeping."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

from ..events import Record
from ..manager import RuntimeManager

__all__ = ["Recorder"]

T = TypeVar("T")


class Recorder:
    """Everything a manager puts on its record from now on: what was accepted, what became of it, and other events.

    It keeps the last `limit` records; `missed` says how many it has not. Use it as a context manager, or `close()` it.

    >>> import agentrt
    >>> from agentrt.testing import virtual_manager
    >>> with virtual_manager() as manager, Recorder(manager) as seen:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     manager.run(counter.ask(5))
    ...     seen.kinds("counter")
    5
    ['created', 'accepted', 'done']
    """

    def __init__(self, manager: RuntimeManager, *, limit: int = 100_000) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._kept: deque[Record] = deque(maxlen=limit)
        self._seen = self._missed = 0
        self._cursor = manager.ring.cursor
        manager.listeners[self] = self._pull

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop recording; what is recorded stays."""
        self._pull()
        self._manager.listeners.pop(self, None)

    @property
    def records(self) -> list[Record]:
        """What was recorded, oldest first."""
        if self in self._manager.listeners:
            self._pull()
        with self._lock:
            return list(self._kept)

    @property
    def missed(self) -> int:
        """How many records came and are not kept here."""
        return self._missed + self._seen - len(self._kept)

    def of(self, runtime: str) -> list[Record]:
        """The records of one runtime."""
        return [record for record in self.records if record.runtime == runtime]

    def kinds(self, runtime: str | None = None) -> list[str]:
        """The kinds of the records, of all runtimes or of one: what happened, in a few words."""
        return [record.kind for record in (self.records if runtime is None else self.of(runtime))]

    async def until(self, condition: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `condition()` is true, asked again whenever something was recorded; returns what it gave.

        Any loop. After `timeout` seconds of that loop `TimeoutError`, with the last kinds of records.

        >>> from agentrt.testing import virtual_manager
        >>> with virtual_manager() as manager, Recorder(manager) as seen:
        ...     counter = manager.create("counter", 0, lambda activity, state: state + 1)
        ...     receipts = [counter.send_nowait(None, delay=60 * minute) for minute in range(10)]
        ...     manager.run(seen.until(lambda: seen.kinds().count("done") == 3))
        ...     counter.state
        True
        3
        """
        there = asyncio.Event()
        self._manager.listeners[there] = partial(_set, asyncio.get_running_loop(), there)
        try:
            async with asyncio.timeout(timeout):
                return await _ask_again(condition, there)
        except TimeoutError as error:
            raise TimeoutError(f"not so within {timeout:g} s; the last records are {self.kinds()[-8:]}") from error
        finally:
            self._manager.listeners.pop(there, None)

    def _pull(self) -> None:
        with self._lock:
            records, self._cursor, missed = self._manager.ring.since(self._cursor)
            self._kept.extend(records)
            self._seen += len(records)
            self._missed += missed


def _set(loop: asyncio.AbstractEventLoop, there: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(there.set)


async def _ask_again(condition: Callable[[], T], there: asyncio.Event) -> T:
    while not (answer := condition()):
        await there.wait()
        there.clear()
    return answer
