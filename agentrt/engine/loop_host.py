"""The event loop that the agents of one manager run on, and how any thread reaches it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from ..clock import Clock, Timer, Timers
from ..errors import ManagerClosedError
from ..frames import AwaitNumbers
from ..interruptible import run_on
from ..receipt import complete_future
from .clock_waits import waits_for_clock
from .core import core_name, twin
from .deadlock import CURRENT
from .detached_tasks import watch
from .entry import RuntimeEntry
from .fields import HostFields
from .fork import RefusingLock
from .lock import make_lock
from .loop_thread import LoopThread, as_coroutine, choose, time_of
from .retention import Readings

__all__ = ["LoopHost"]

T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]


class LoopHost(HostFields):
    """A loop, on a thread of its own or shared, its lock, and the clock of the agents on it.

    `lock` guards what several threads change; `thread` is the id of the loop's thread.
    """

    busy: set[Entry]  # the entries that process

    def __init__(self, name: str, loop: str, clock: Clock | None) -> None:
        shared = choose(loop)
        self.name = name
        self.lock: AbstractContextManager[Any] = make_lock()
        self._own = LoopThread(name) if shared is None else None
        self.loop: asyncio.AbstractEventLoop = self._own.loop if self._own is not None else shared  # type: ignore[assignment]
        self.thread = threading.get_ident() if self._own is None else self._own.ident
        self.clock = clock if clock is not None else self._make_clock()
        self._timers = Timers(self.clock, self.loop, self._may_leap)
        self._sleepers: set[Entry] = set()  # the busy entries whose own task is in `sleep`
        self._woken: deque[Entry] = deque()
        self.readings = Readings()
        self.branch_point: Any = None  # of a fork: where it was branched off
        self.served_effects: Any = None  # what gives the results of effects, in place of their functions
        self._waking = False
        self.awaits = AwaitNumbers()  # of whoever looks where a workflow is
        watch(self.loop)

    @property
    def core(self) -> str:
        """Which core runs the agents: "pure", the one in Python, or "compiled"."""
        return core_name()

    def _make_clock(self) -> Clock:
        """The clock of the agents, if none is given."""
        return Clock(source=time_of(self.loop))

    @property
    def is_forked(self) -> bool:
        """Whether this is the copy of a manager in a process that was forked from the manager's own."""
        return isinstance(self.lock, RefusingLock)

    def check_process(self) -> None:
        """Raise `ManagerClosedError` if the agents run in another process, from which this one was forked."""
        if isinstance(self.lock, RefusingLock):
            self.lock.acquire()

    def submit(self, awaitable: Awaitable[T]) -> concurrent.futures.Future[T]:
        """Start an awaitable on the agents' loop; from any thread.

        Raises:
            ManagerClosedError: That loop is closed, or runs in another process.
        """
        if self.is_forked or self.loop.is_closed():
            discard(awaitable)
            self.check_process()
            raise ManagerClosedError("the manager is closed; make a new one")
        return run_on(self.loop, as_coroutine(awaitable))

    def do(self, call: Callable[[], T], timeout: float = 10.0) -> T:
        """Call on the loop's thread and wait for the result, `timeout` real seconds at most."""
        self.check_process()
        if threading.get_ident() == self.thread or self.loop.is_closed():
            return call()

        async def on_loop() -> T:
            return call()

        return wait_for(self.submit(on_loop()), timeout)

    def post(self, call: Callable[[], object]) -> None:
        """Call on the loop's thread, at once if this is it."""
        if threading.get_ident() == self.thread or self.loop.is_closed():
            call()
            return
        try:
            self.loop.call_soon_threadsafe(call)
        except RuntimeError:  # closed in between
            call()

    @twin
    def wake(self, entry: Entry) -> None:
        """Have an entry process: at once on the loop's thread, else by one callback for all that are woken together.

        The lock is held.
        """
        if self.loop.is_closed():
            self.end_with_loop()
            return
        if threading.get_ident() == self.thread:
            entry.start()
            return
        self._woken.append(entry)
        if not self._waking:
            self.loop.call_soon_threadsafe(self._start_entries)
            self._waking = True

    def _start_entries(self) -> None:
        with self.lock:
            self._waking = False
        try:
            while self._woken:
                entry = self._woken[0]
                if not entry.closed:
                    entry.start()
                self._woken.popleft()  # last: to start an entry twice is fine
        except BaseException:
            self.loop.call_soon(self._start_entries)
            raise

    def end_with_loop(self) -> None:
        """Called when somebody else has closed the loop: nothing runs any more, so nothing may wait for it."""

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call when the clock reads `when`; the loop's thread only."""
        return self._timers.at(when, call)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the manager's clock; on the manager's loop only."""
        future = self.loop.create_future()
        timer = self.call_at(self.clock.now() + seconds, partial(complete_future, future))
        entry: Any = CURRENT.get()
        sleeper = entry if entry in self.busy and entry.task is asyncio.current_task() else None
        self.clock.waiting.add(future)
        if sleeper is not None:
            self._sleepers.add(sleeper)
        try:
            await future
        finally:
            timer.cancel()
            self.clock.waiting.discard(future)
            if sleeper is not None:
                self._sleepers.discard(sleeper)

    def _may_leap(self) -> bool:
        """Whether every busy runtime waits for the clock, or for another runtime.

        One that is STUCK holds up nobody: the deadline of what it does is over.
        """
        if len(self._sleepers) == len(self.busy) or self.loop.is_closed():
            return True
        others = self.busy - self._sleepers
        return all(waits_for_clock(entry.task, self.clock.waiting) or entry.stuck for entry in others)


def discard(awaitable: Awaitable[Any]) -> None:
    """Throw away what will not be awaited, without a warning."""
    if asyncio.iscoroutine(awaitable):
        awaitable.close()


def wait_for(future: concurrent.futures.Future[T], timeout: float | None) -> T:
    """Block until a future is done, `timeout` real seconds at most; what is given up is cancelled."""
    try:
        return future.result(timeout)
    except BaseException:
        future.cancel()
        raise
