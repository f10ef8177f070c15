"""Where agents run: an event loop on a thread of its own, or the loop that is running already."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, TypeVar

from ..errors import ConfigurationError
from ..interruptible import InterruptibleEvent
from ..logs import log_safely
from ..schema.numbers import refuse
from .thread_pool import ThreadPool

__all__ = ["LoopThread", "as_coroutine", "choose", "time_of"]

T = TypeVar("T")
logger = logging.getLogger(__name__)
EXECUTOR_THREADS = min(32, (os.cpu_count() or 1) + 4)  # as many as asyncio has for `asyncio.to_thread`
LoopChoice = Literal["auto", "thread", "current"]


class LoopThread:
    """A daemon thread that runs one event loop until it is stopped."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._executor = ThreadPool(f"{name}-executor", EXECUTOR_THREADS)
        self.loop.set_default_executor(self._executor)  # asyncio's own would delay the exit of the interpreter
        self._stopping = self._forked = False
        self._started = InterruptibleEvent()
        self._name = name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._started.wait()
        assert self._thread.ident is not None
        self.ident = self._thread.ident

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._started.set)
        try:
            while not self._stopping:
                self._run_on()
        finally:
            if not self._forked:
                self._finish()

    def _run_on(self) -> None:
        try:
            self.loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            # asyncio raises these two from `run_forever`, whichever task raised them. This is not the main thread:
            # whoever awaits the task gets the exception, and the other agents go on.
            log_safely(logger, "a task on the loop of %r tried to end the program; the loop goes on", self._name)
        except BaseException:
            # asyncio logs what a callback raises; what a log handler raises comes out of `run_forever`.
            log_safely(logger, "the loop of %r met an error and goes on", self._name)

    def _finish(self) -> None:
        """Cancel the tasks that are not done, as `asyncio.run` does, and close the loop."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def stop(self, timeout: float | None = 5.0) -> None:
        """Stop the loop and wait for the thread; from another thread than the loop's."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._stop)
        self._thread.join(timeout)

    def stop_soon(self) -> None:
        """Stop the loop after two more turns: callers that wait get their results. The loop's thread only."""
        self.loop.call_soon(self.loop.call_soon, self._stop)

    def stop_after_fork(self) -> None:
        """Run nothing more in a process that was forked, and do not close the loop: the parent uses the same files."""
        self._stopping = self._forked = True
        if threading.get_ident() == self.ident:  # a task on the loop has forked
            self.loop.stop()

    def _stop(self) -> None:
        self._stopping = True
        self.loop.stop()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def choose(choice: str) -> asyncio.AbstractEventLoop | None:
    """The loop to run on, None for a thread of its own.

    "auto" is a thread in IPython or where no loop runs, else the running loop: a long cell would freeze agents that
    share the kernel's loop.
    """
    if choice not in ("auto", "thread", "current"):
        raise refuse("loop", choice, "'auto', 'thread' or 'current'")
    running = running_loop()
    if choice == "current" and running is None:
        raise ConfigurationError(
            "loop='current' but no event loop is running in this thread; make the manager inside of `async def`, "
            "or leave `loop` out"
        )
    if choice == "thread" or (choice == "auto" and in_ipython()):
        return None
    return running


def in_ipython() -> bool:
    """Whether an IPython shell or kernel runs this process."""
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def time_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The loop's own time if it has one (a virtual loop), else `time.monotonic`, which is faster than `loop.time`."""
    own = isinstance(loop, asyncio.BaseEventLoop) and type(loop).time is not asyncio.BaseEventLoop.time
    return loop.time if own else time.monotonic


def as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """Any awaitable as a coroutine, for what takes nothing else."""
    if asyncio.iscoroutine(awaitable):
        return awaitable

    async def waiting() -> T:
        return await awaitable

    return waiting()
