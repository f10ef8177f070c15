"""Workflows that do not run on the loop: in a worker thread if they block, in a process if they must be killable."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError, ManagerClosedError
from ..limits import Limits
from ..logs import log_safely
from .process_pool import Processes, move_to_process, run_in_process
from .thread_pool import ThreadPool
from .workflow import Workflow

__all__ = ["Workers", "isolate", "original_function", "thread_of", "user_function"]

logger = logging.getLogger(__name__)

THREADS = 64
END_GRACE = 1.0  # real seconds that a thread is waited for once its manager or its loop ends
Work = asyncio.Future[Any]


class Workers:
    """The threads and processes in which the workflows of one manager run, each made when the first of them needs it.

    Args:
        name: The threads are called by it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.processes = Processes(name)
        self._lock = threading.Lock()
        self._threads: ThreadPool | None = None
        self._running: dict[Work, Activity[Any]] = {}
        self._closed = False

    def threads(self) -> ThreadPool:
        """Return the pool of threads.

        Raises:
            ManagerClosedError: The manager is closed.
        """
        with self._lock:
            if self._closed:
                raise ManagerClosedError("the manager is closed: no thread is started any more")
            if self._threads is None:
                self._threads = ThreadPool(f"{self._name}-blocking", THREADS)
            return self._threads

    @contextmanager
    def track(self, work: Work, activity: Activity[Any]) -> Iterator[None]:
        """In this block, work in a thread is registered, so that `close` waits for it no longer than `END_GRACE`."""
        with self._lock:
            self._running[work] = activity
            closed = self._closed
        if closed:
            self.abandon_soon(work)
        try:
            yield
        finally:
            del self._running[work]

    def close(self) -> None:
        """Start nothing more, kill the processes, and stop waiting for the threads after `END_GRACE`. Any thread."""
        with self._lock:
            self._closed = True
            threads, running = self._threads, tuple(self._running)
        self.processes.close()
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        for work in running:
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                work.get_loop().call_soon_threadsafe(self.abandon_soon, work)

    def abandon_soon(self, work: Work) -> None:
        """Stop waiting for this work after `END_GRACE`. The loop's thread only."""
        work.get_loop().call_later(END_GRACE, self._abandon, work)

    def _abandon(self, work: Work) -> None:
        activity = self._running.get(work)
        if activity is None or not work.cancel():
            return
        warning = "the blocking workflow of %r still runs (activity %d); its thread ends with the process"
        log_safely(logger, warning, activity.runtime, activity.id, level=logging.WARNING)


def isolate(workflow: Workflow, limits: Limits, workers: Workers) -> Workflow:
    """Return the workflow as it is to be called: in a process, in a worker thread with `blocking=True`, else as it is.

    Raises:
        ConfigurationError: The workflow or its limits don't fit where it is to run.
    """
    if limits.isolation is not None:
        return move_to_process(workflow, limits, workers.processes)
    if limits.memory is not None or limits.cpu is not None:
        raise ConfigurationError("memory and cpu are limits of a process; give isolation='process' with them")
    if not limits.blocking:
        return workflow
    if workflow.is_async:
        raise ConfigurationError(
            f"{workflow.name} is an `async def` with blocking=True; write a plain `def`, it runs in a worker thread"
        )
    return msgspec.structs.replace(workflow, call=partial(_run_in_thread, workflow.call, workers), is_async=True)


def original_function(call: Callable[..., Any]) -> Any:
    """Return the function that the user wrote, of what is called; None if it runs in another process."""
    call = getattr(call, "plain", call)  # of one that has breakpoints inside
    if not isinstance(call, partial):
        return call
    return call.args[0] if call.func is _run_in_thread else None if call.func is run_in_process else call


def user_function(call: Callable[..., Any]) -> Any:
    """Return the function that the user wrote, of what is called, wherever it runs."""
    call = getattr(call, "plain", call)
    if isinstance(call, partial) and call.func is run_in_process:
        return call.args[0].function
    return original_function(call)


def thread_of(activity: Activity[Any]) -> int | None:
    """Return the identifier of the worker thread that runs a workflow on this activity; None if none does (yet)."""
    for thread, innermost in sys._current_frames().items():
        frame: FrameType | None = innermost
        while frame is not None and frame.f_code is not _call_workflow.__code__:
            frame = frame.f_back
        if frame is not None and frame.f_locals["args"][0] is activity:
            return thread
    return None


async def _run_in_thread(call: Callable[..., Any], workers: Workers, *args: Any) -> Any:
    loop = asyncio.get_running_loop()
    start = threading.Lock()
    run = partial(copy_context().run, _start, start, call, *args)
    work: Work = loop.run_in_executor(workers.threads(), run)
    cancelled: asyncio.CancelledError | None = None
    # A thread can't be interrupted: a cancellation is raised once the thread is done.
    with workers.track(work, args[0]):
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError as error:
                cancelled = error
                if start.acquire(blocking=False):  # no thread was free yet: it never starts
                    work.cancel()
                elif getattr(asyncio.current_task(), "is_shut_down", False):
                    workers.abandon_soon(work)
    if cancelled is not None:
        if not work.cancelled():
            work.exception()
        raise cancelled
    return work.result()


def _start(start: threading.Lock, call: Callable[..., Any], *args: Any) -> Any:
    """Call the workflow, unless it was cancelled before: whoever takes the lock first decides."""
    return _call_workflow(call, *args) if start.acquire(blocking=False) else None


def _call_workflow(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except StopIteration as error:
        # A future does not accept StopIteration: whoever waits would wait for ever. A coroutine does the same.
        raise RuntimeError("a workflow raised StopIteration") from error
