"""Workflows that must not run on the loop: what blocks, in worker threads; what must be stoppable, in processes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError
from ..limits import Limits
from .process_pool import Processes, away, in_process
from .workflow import Workflow

__all__ = ["Workers", "isolated", "original", "thread_of"]

THREADS = 64


class Workers:
    """The threads and processes of one manager's workflows, made when the first of them runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.processes = Processes()
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def threads(self) -> ThreadPoolExecutor:
        """The pool of threads."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, f"{self._name}-blocking")
            return self._threads

    def close(self) -> None:
        """Start nothing more; threads come to their end by themselves, processes are killed."""
        self.processes.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def isolated(workflow: Workflow, limits: Limits, workers: Workers) -> Workflow:
    """The workflow as it is to be called: in a process, in a worker thread with `blocking=True`, else as it is."""
    if limits.isolation == "process":
        return in_process(workflow, limits, workers.processes)
    if limits.memory is not None or limits.cpu is not None:
        raise ConfigurationError("memory and cpu are limits of a process; give isolation='process' with them")
    if not limits.blocking:
        return workflow
    if workflow.is_async:
        raise ConfigurationError(
            f"{workflow.name} is an `async def` with blocking=True; write a plain `def`, it runs in a worker thread"
        )
    return msgspec.structs.replace(workflow, call=partial(_in_thread, workflow.call, workers), is_async=True)


def _begun(start: threading.Lock, call: Callable[..., Any], *args: Any) -> Any:
    """The call, unless it was cancelled before: who takes `start` first decides."""
    return _called(call, *args) if start.acquire(blocking=False) else None


def _called(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except StopIteration as error:
        # A future refuses it, and who waits would wait for ever: turned into what a coroutine makes of it.
        raise RuntimeError("a workflow raised StopIteration") from error


def original(call: Callable[..., Any]) -> Any:
    """What a person wrote of what is called; None for what travelled to another process."""
    if not isinstance(call, partial):
        return call
    return call.args[0] if call.func is _in_thread else None if call.func is away else call


def thread_of(activity: Activity[Any]) -> int | None:
    """The worker thread that runs a workflow on this activity; None if none does (yet)."""
    for thread, innermost in sys._current_frames().items():
        frame: FrameType | None = innermost
        while frame is not None and frame.f_code is not _called.__code__:
            frame = frame.f_back
        if frame is not None and frame.f_locals["args"][0] is activity:
            return thread
    return None


async def _in_thread(call: Callable[..., Any], workers: Workers, *args: Any) -> Any:
    loop = asyncio.get_running_loop()
    start = threading.Lock()
    work = loop.run_in_executor(workers.threads(), partial(copy_context().run, _begun, start, call, *args))
    cancelled: asyncio.CancelledError | None = None
    # A thread can't be interrupted: being cancelled is remembered, and nothing goes on before the thread is done.
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            if start.acquire(blocking=False):  # no thread was free yet: it is not begun after its end
                work.cancel()
                raise
            cancelled = error
    if cancelled is not None:
        work.exception()
        raise cancelled
    return work.result()
