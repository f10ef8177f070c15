"""A pool of daemon threads: what still runs in one of them never delays the exit of the interpreter."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from ..interruptible import InterruptibleCondition, InterruptibleFuture

__all__ = ["ThreadPool"]

T = TypeVar("T")
P = ParamSpec("P")
Job = tuple[Future[Any], Callable[[], Any]]


class ThreadPool(ThreadPoolExecutor):
    """At most `most` daemon threads, each started when there is work and no thread is free.

    The interpreter waits at its exit for every thread of a `ThreadPoolExecutor`, however long a call takes. It is a
    subclass of it only because `loop.set_default_executor` asks for one; nothing of it is used.

    Args:
        name: The threads are called by it and a number.
        most: How many threads there may be; further calls wait.

    >>> pool = ThreadPool("example", 2)
    >>> pool.submit(max, 1, 2).result()
    2
    >>> pool.shutdown()
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(most, name)
        self._name = name
        self._most = most
        self._jobs: deque[Job] = deque()
        self._free = 0
        self._own: list[threading.Thread] = []
        self._closed = False
        self._changed = InterruptibleCondition()

    def submit(self, call: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> Future[T]:
        """Run a call on one of the threads. Any thread.

        Raises:
            RuntimeError: The pool is shut down.
        """
        future = InterruptibleFuture[T]()
        with self._changed:
            if self._closed:
                raise RuntimeError("the thread pool is shut down: it runs nothing more")
            self._jobs.append((future, partial(call, *args, **options)))
            if self._free >= len(self._jobs):
                self._changed.notify()
            elif len(self._own) < self._most:
                thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._own)}", daemon=True)
                self._own.append(thread)
                thread.start()
        return future

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            _run(*job)
            del job  # nothing of what was done stays alive while the thread waits

    def _next_job(self) -> Job | None:
        with self._changed:
            self._free += 1
            while not self._jobs and not self._closed:
                self._changed.wait()
            self._free -= 1
            return self._jobs.popleft() if self._jobs else None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept nothing more, and end each thread after its call.

        Args:
            wait: Wait for the threads.
            cancel_futures: Cancel the calls that have not begun; else they are still run.
        """
        with self._changed:
            self._closed = True
            while cancel_futures and self._jobs:
                self._jobs.popleft()[0].cancel()
            self._changed.notify_all()
        for thread in self._own if wait else ():
            thread.join()


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # whatever it is, it belongs to whoever waits for the future
        future.set_exception(error)
    else:
        future.set_result(result)
