"""What threads wait with: as in `threading` and `concurrent.futures`, but safe from exceptions from outside.

Those of the standard library take their lock in a method written in Python. An exception that is raised there from
outside (the stop button, a signal handler) comes after the lock is taken and before the `with` that would release it.
Then whoever takes it next hangs for ever: the loop's thread, and all agents with it. Here `with` takes the lock itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

__all__ = ["InterruptibleCondition", "InterruptibleEvent", "InterruptibleFuture", "run_on"]

T = TypeVar("T")
ReentrantLock: Any = type(threading.RLock())


class InterruptibleEvent:
    """A `threading.Event`.

    >>> event = InterruptibleEvent()
    >>> event.set()
    >>> event.wait(0), event.is_set()
    (True, True)
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[threading.Lock] = []  # each is held, and released to wake the thread that waits for it

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake every thread that waits for it."""
        self._is_set = True
        for waiter in self._waiters[:]:
            with suppress(RuntimeError):  # it was woken already
                waiter.release()

    def clear(self) -> None:
        """Have threads wait for it again."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, `timeout` seconds at most; whether it was."""
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        try:  # registered first, looked at second: nobody sets it unseen in between
            return self._is_set or waiter.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        finally:
            with suppress(ValueError):
                self._waiters.remove(waiter)


class InterruptibleCondition(ReentrantLock):  # type: ignore[misc]
    """A `threading.Condition`, as far as it is needed here. Only `wait` itself must not be interrupted.

    >>> condition = InterruptibleCondition()
    >>> with condition:
    ...     condition.wait(0.001)
    False
    """

    def __init__(self) -> None:
        self._waiters: list[InterruptibleEvent] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait for a notification for `timeout` seconds at most, take it again; whether it came."""
        event = InterruptibleEvent()
        self._waiters.append(event)
        held = self._release_save()
        try:
            return event.wait(timeout)
        finally:
            self._acquire_restore(held)
            with suppress(ValueError):
                self._waiters.remove(event)

    def notify(self, n: int = 1) -> None:
        """Wake the `n` threads that have waited longest. The lock is held."""
        for event in self._waiters[:n]:
            event.set()
            with suppress(ValueError):
                self._waiters.remove(event)

    def notify_all(self) -> None:
        """Wake every thread that waits. The lock is held."""
        self.notify(len(self._waiters))


class InterruptibleFuture(Future[T]):
    """A `concurrent.futures.Future`. Who waits for its result holds no lock meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = InterruptibleCondition()

    def result(self, timeout: float | None = None) -> T:
        """The result, or the exception raised; waits for it, `timeout` seconds at most, then `TimeoutError`."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception, None if there is a result; waits as `result` does."""
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            event = InterruptibleEvent()
            self.add_done_callback(lambda future: event.set())
            if not event.wait(timeout) and not self.done():
                raise TimeoutError


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> InterruptibleFuture[T]:
    """`asyncio.run_coroutine_threadsafe` with such a future."""
    future = InterruptibleFuture[T]()
    loop.call_soon_threadsafe(_start_task, loop, coroutine, future)
    return future


def _start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], future: Future[T]) -> None:
    task = loop.create_task(coroutine)
    task.add_done_callback(partial(_complete_with, future))
    future.add_done_callback(partial(_cancel_with, loop, task))


def _complete_with(future: Future[T], task: asyncio.Task[T]) -> None:
    """Give a future the result of a task."""
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    error = task.exception()
    if error is None:
        future.set_result(task.result())
    else:
        future.set_exception(error)


def _cancel_with(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T], future: Future[T]) -> None:
    """Cancel a task whose future was cancelled."""
    if future.cancelled():
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(task.cancel)
