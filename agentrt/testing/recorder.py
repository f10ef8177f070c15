"""An observer that stores the records of a manager, and waits for conditions on them without sleeping."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

from ..engine.deadlock import check_loop
from ..events import Record
from ..manager import RuntimeManager
from ..schema.numbers import count, optional_seconds

__all__ = ["Recorder"]

T = TypeVar("T")


class Recorder:
    """The records that a manager writes from now on: accepted activities, their outcomes, and events.

    Use it as a context manager, or `close()` it. Any thread may read it.

    Args:
        manager: The manager to observe.
        limit: How many records are stored; of more, the oldest are dropped and counted in `missed`.

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
        self._records: deque[Record] = deque(maxlen=count("limit", limit))
        self._received = self._missed = 0
        self._cursor = manager.ring.cursor
        manager.listeners[self] = self._pull

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop recording. The records stay. Idempotent."""
        self._pull()
        self._manager.listeners.pop(self, None)

    @property
    def records(self) -> list[Record]:
        """The stored records, oldest first."""
        if self in self._manager.listeners:
            self._pull()
        with self._lock:
            return list(self._records)

    @property
    def missed(self) -> int:
        """How many records of this time are not stored."""
        return self._missed + self._received - len(self._records)

    def of(self, runtime: str) -> list[Record]:
        """The records of one runtime."""
        return [record for record in self.records if record.runtime == runtime]

    def kinds(self, runtime: str | None = None) -> list[str]:
        """The kinds of the records, of all runtimes or of one, such as `["created", "accepted", "done"]`."""
        return [record.kind for record in (self.records if runtime is None else self.of(runtime))]

    async def until(self, condition: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `condition()` is true. It is called again after each new record. On any loop.

        Args:
            condition: Called without arguments, on the loop that awaits.
            timeout: Seconds on the time of that loop; None waits without a limit.

        Returns:
            The true value that `condition` returned.

        Raises:
            TimeoutError: With the kinds of the last records.
            DeadlockError: The manager's loop can't run while the one that awaits does.

        >>> from agentrt.testing import virtual_manager
        >>> with virtual_manager() as manager, Recorder(manager) as seen:
        ...     counter = manager.create("counter", 0, lambda activity, state: state + 1)
        ...     receipts = [counter.send_nowait(None, delay=60 * minute) for minute in range(10)]
        ...     manager.run(seen.until(lambda: seen.kinds().count("done") == 3))
        ...     counter.state
        True
        3
        """
        timeout = optional_seconds("timeout", timeout)
        arrived, loop = asyncio.Event(), asyncio.get_running_loop()
        check_loop(self._manager, loop, None)
        self._manager.listeners[arrived] = partial(_set_from_any_thread, loop, arrived)
        try:
            async with asyncio.timeout(timeout):
                return await _poll(condition, arrived)
        except TimeoutError as error:
            last = self.kinds()[-8:]
            raise TimeoutError(
                f"the condition was not met within {timeout:g} s; the last records are {last}"
            ) from error
        finally:
            self._manager.listeners.pop(arrived, None)

    def _pull(self) -> None:
        with self._lock:
            records, self._cursor, missed = self._manager.ring.since(self._cursor)
            self._records.extend(records)
            self._received += len(records)
            self._missed += missed


def _set_from_any_thread(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(arrived.set)


async def _poll(condition: Callable[[], T], arrived: asyncio.Event) -> T:
    while not (answer := condition()):
        await arrived.wait()
        arrived.clear()
    return answer
